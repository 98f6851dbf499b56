package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// fixedMsgpack is MessagePack with its mistakes corrected: a map of all fields, read by exact types.
type fixedMsgpack struct{}

func (fixedMsgpack) encode(value any) ([]byte, error) {
	made, err := commentOf(value)
	if err != nil {
		return nil, err
	}
	return msgpack.Marshal(made.document())
}

func (fixedMsgpack) decode(data []byte) (any, error) {
	read := bytes.NewReader(data)
	decoder := msgpack.NewDecoder(read)
	// By default a map is taken to have texts for keys.
	decoder.SetMapDecoder(func(decoder *msgpack.Decoder) (any, error) { return decoder.DecodeUntypedMap() })
	value, err := decoder.DecodeInterface()
	if err != nil {
		return nil, err
	}
	if read.Len() > 0 {
		return nil, errors.New("something follows the document")
	}
	if value, err = generic(value); err != nil {
		return nil, err
	}
	given, err := withRest(value)
	if err != nil {
		return nil, err
	}
	made, err := commentOf(given)
	if err != nil {
		return nil, err
	}
	return made.value(), nil
}

// document gives what is written of a comment.
func (c *Comment) document() map[string]any {
	made := make(map[string]any, len(c.Rest)+20)
	for name, each := range c.Rest {
		made[name] = each
	}
	for _, field := range c.fields() {
		switch at := field.at.(type) {
		case *[]*Comment:
			made[field.name] = list(*at, func(each *Comment) any { return each.document() })
		case *map[string]int64:
			made[field.name] = *at
		case *map[int64]int64:
			made[field.name] = *at
		default:
			made[field.name] = get(at)
		}
	}
	return made
}

// withRest gives the fields of a document that a comment has, and the others as its rest.
func withRest(value any) (map[string]any, error) {
	document, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%T is no comment", value)
	}
	known := (&Comment{}).fields()
	made := map[string]any{"rest": map[string]any(unknown(document, known))}
	for _, field := range known {
		made[field.name] = document[field.name]
	}
	children, _ := made["children"].([]any)
	for i, each := range children {
		child, err := withRest(each)
		if err != nil {
			return nil, err
		}
		children[i] = child
	}
	return made, nil
}

// generic brings what the decoder gives into one form: whole numbers come in the type of their size.
func generic(value any) (_ any, err error) {
	switch value := value.(type) {
	case int8:
		return int64(value), nil
	case int16:
		return int64(value), nil
	case int32:
		return int64(value), nil
	case uint8:
		return int64(value), nil
	case uint16:
		return int64(value), nil
	case uint32:
		return int64(value), nil
	case uint64:
		if value > 1<<63-1 {
			return new(big.Int).SetUint64(value), nil
		}
		return int64(value), nil
	case float32:
		return float64(value), nil
	case time.Time:
		return value.UTC(), nil
	case []any:
		for i := range value {
			if value[i], err = generic(value[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range value {
			if value[key], err = generic(value[key]); err != nil {
				return nil, err
			}
		}
	case map[any]any:
		return genericMap(value)
	}
	return value, nil
}

func genericMap(given map[any]any) (any, error) {
	texts := make(map[string]any, len(given))
	var others pairs
	for key, each := range given {
		made, err := generic(each)
		if err != nil {
			return nil, err
		}
		if text, ok := key.(string); ok {
			texts[text] = made
			continue
		}
		if key, err = generic(key); err != nil {
			return nil, err
		}
		others = append(others, [2]any{key, made})
	}
	if others == nil {
		return texts, nil
	}
	for key, each := range texts {
		others = append(others, [2]any{key, each})
	}
	return others, nil
}
