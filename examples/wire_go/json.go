package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// fixedJSON is JSON with its mistakes corrected.
type fixedJSON struct{}

func (fixedJSON) encode(value any) ([]byte, error) {
	made, err := commentOf(value)
	if err != nil {
		return nil, err
	}
	return marshal(made)
}

func (fixedJSON) decode(data []byte) (any, error) {
	made := newComment()
	if err := json.Unmarshal(data, made); err != nil {
		return nil, err
	}
	return made.value(), nil
}

// fixedDocument is JSON of no known type.
type fixedDocument struct{}

func (fixedDocument) encode(value any) ([]byte, error) { return marshal(written(value)) }
func (fixedDocument) decode(data []byte) (any, error)  { return readDocument(data) }

// marshal leaves <, > and & as they are: nothing here goes into HTML unescaped.
func marshal(value any) ([]byte, error) {
	var made bytes.Buffer
	encoder := json.NewEncoder(&made)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(made.Bytes(), []byte("\n")), nil
}

// readDocument reads JSON of no known type; by default all numbers would become float64.
func readDocument(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("something follows the document")
	}
	return numbered(value)
}

// numbered turns numbers into ints and floats.
func numbered(value any) (_ any, err error) {
	switch value := value.(type) {
	case json.Number:
		return number(string(value))
	case []any:
		for i := range value {
			if value[i], err = numbered(value[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range value {
			if value[key], err = numbered(value[key]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// written has floats as they are to be written.
func written(value any) any {
	switch value := value.(type) {
	case float64:
		return Float(value)
	case []any:
		return list(value, written)
	case map[string]any:
		made := make(map[string]any, len(value))
		for key, each := range value {
			made[key] = written(each)
		}
		return made
	}
	return value
}

// UnmarshalJSON takes fields by their exact names only, and keeps those it does not know.
func (c *Comment) UnmarshalJSON(data []byte) error {
	var document map[string]json.RawMessage
	if err := json.Unmarshal(data, &document); err != nil {
		return err
	}
	if document == nil {
		return errors.New("null is no comment")
	}
	*c = *newComment()
	for _, field := range c.fields() {
		text, ok := document[field.name]
		if !ok {
			return fmt.Errorf("there is no %s", field.name)
		}
		delete(document, field.name)
		if err := unmarshal(text, field.at); err != nil {
			return fmt.Errorf("%s: %w", field.name, err)
		}
	}
	for name, text := range document {
		value, err := readDocument(text)
		if err != nil {
			return err
		}
		c.Rest[name] = value
	}
	return nil
}

// unmarshal reads one field; null is for pointers, where others would silently keep what they have.
func unmarshal(text []byte, at any) error {
	switch at.(type) {
	case **int64, **string, **Flair:
	default:
		if bytes.Equal(text, []byte("null")) {
			return errors.New("it is null")
		}
	}
	return json.Unmarshal(text, at)
}

// MarshalJSON writes all fields, and those that are not known after them.
func (c *Comment) MarshalJSON() ([]byte, error) {
	fields := c.fields()
	for name, each := range c.Rest {
		fields = append(fields, field{name, written(each)})
	}
	slices.SortFunc(fields[len(fields)-len(c.Rest):], func(a, b field) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	made := []byte{'{'}
	for i, field := range fields {
		if i > 0 {
			made = append(made, ',')
		}
		name, err := marshal(field.name)
		if err != nil {
			return nil, err
		}
		text, err := marshal(field.at)
		if err != nil {
			return nil, err
		}
		made = append(append(append(made, name...), ':'), text...)
	}
	return append(made, '}'), nil
}

// MarshalJSON writes false, or a time.
func (e Edited) MarshalJSON() ([]byte, error) {
	if e.At == nil {
		return []byte("false"), nil
	}
	return json.Marshal(e.At)
}

// UnmarshalJSON reads false, or a time.
func (e *Edited) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("false")) {
		e.At = nil
		return nil
	}
	e.At = new(time.Time)
	return json.Unmarshal(data, e.At)
}

// UnmarshalJSON reads an object.
func (d *Document) UnmarshalJSON(data []byte) error {
	value, err := readDocument(data)
	if err != nil {
		return err
	}
	return assign((*map[string]any)(d), value)
}

// MarshalJSON writes an object.
func (d Document) MarshalJSON() ([]byte, error) { return marshal(written(map[string]any(d))) }

// UnmarshalJSON reads base64 in the alphabet of URLs.
func (b *Blob) UnmarshalJSON(data []byte) (err error) {
	var text string
	if err = json.Unmarshal(data, &text); err == nil {
		*b, err = base64.URLEncoding.DecodeString(text)
	}
	return err
}

// MarshalJSON writes base64 in the alphabet of URLs.
func (b Blob) MarshalJSON() ([]byte, error) {
	return json.Marshal(base64.URLEncoding.EncodeToString(b))
}

// MarshalJSON writes 1.0 and -0.0, where encoding/json has 1 and -0.
func (f Float) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(f), 'g', -1, 64)
	if !isFloat(text) {
		text += ".0" // NaN.0 is refused by encoding/json, as NaN is
	}
	return []byte(text), nil
}
