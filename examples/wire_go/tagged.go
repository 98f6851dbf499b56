package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Values between the protocol and the formats are nil, bool, int64, *big.Int, float64, string, []byte, time.Time,
// []any, map[string]any and pairs.

// pairs is a map whose keys are not all text.
type pairs [][2]any

// MarshalJSON refuses it: JSON has no such map.
func (pairs) MarshalJSON() ([]byte, error) { return nil, errors.New("a map has keys that are no text") }

// exact is the largest whole number that is written without a tag.
const exact = 1 << 53

// readTagged reads tagged JSON.
func readTagged(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return untag(value)
}

func untag(value any) (any, error) {
	switch value := value.(type) {
	case json.Number:
		return number(string(value))
	case []any:
		for i := range value {
			made, err := untag(value[i])
			if err != nil {
				return nil, err
			}
			value[i] = made
		}
	case map[string]any:
		for key, each := range value {
			if strings.HasPrefix(key, "$") {
				return untagOne(key, each)
			}
			made, err := untag(each)
			if err != nil {
				return nil, err
			}
			value[key] = made
		}
	}
	return value, nil
}

func untagOne(tag string, content any) (any, error) {
	if list, ok := content.([]any); ok && tag == "$map" {
		return untagMap(list)
	}
	text, ok := content.(string)
	if !ok {
		return nil, fmt.Errorf("Go has nothing for %s", tag)
	}
	switch tag {
	case "$int":
		return number(text)
	case "$float":
		return strconv.ParseFloat(text, 64)
	case "$bytes":
		return base64.StdEncoding.DecodeString(text)
	case "$time":
		return time.Parse(time.RFC3339Nano, text)
	}
	return nil, fmt.Errorf("Go has nothing for %s", tag)
}

func untagMap(list []any) (any, error) {
	made := make(pairs, 0, len(list))
	texts := make(map[string]any, len(list))
	for _, each := range list {
		pair, ok := each.([]any)
		if !ok || len(pair) != 2 {
			return nil, errors.New("$map has something that is no pair")
		}
		key, err := untag(pair[0])
		if err != nil {
			return nil, err
		}
		value, err := untag(pair[1])
		if err != nil {
			return nil, err
		}
		made = append(made, [2]any{key, value})
		if text, ok := key.(string); ok {
			texts[text] = value
		}
	}
	if len(texts) == len(made) {
		return texts, nil
	}
	return made, nil
}

// number tells ints from floats by their spelling.
func number(text string) (any, error) {
	if strings.ContainsAny(text, ".eE") {
		return strconv.ParseFloat(text, 64)
	}
	if small, err := strconv.ParseInt(text, 10, 64); err == nil {
		return small, nil
	}
	if large, ok := new(big.Int).SetString(text, 10); ok {
		return large, nil
	}
	return nil, errors.New("no number")
}

// appendTagged writes tagged JSON.
func appendTagged(to []byte, value any) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return append(to, "null"...), nil
	case bool:
		return strconv.AppendBool(to, value), nil
	case string:
		return appendText(to, value), nil
	case int64:
		if -exact <= value && value <= exact {
			return strconv.AppendInt(to, value, 10), nil
		}
		return appendTag(to, "$int", strconv.FormatInt(value, 10)), nil
	case *big.Int:
		return appendTag(to, "$int", value.String()), nil
	case float64:
		return appendFloat(to, value), nil
	case []byte:
		return appendTag(to, "$bytes", base64.StdEncoding.EncodeToString(value)), nil
	case time.Time:
		return appendTag(to, "$time", value.Format(time.RFC3339Nano)), nil
	case []any:
		return appendList(to, value)
	case map[string]any:
		return appendMap(to, value)
	case pairs:
		return appendPairs(to, value)
	}
	return nil, fmt.Errorf("%T has no tagged form", value)
}

func appendTag(to []byte, tag, content string) []byte {
	to = append(append(append(to, `{"`...), tag...), `":"`...)
	return append(append(to, content...), `"}`...)
}

func appendFloat(to []byte, value float64) []byte {
	switch {
	case math.IsNaN(value):
		return appendTag(to, "$float", "NaN")
	case math.IsInf(value, 1):
		return appendTag(to, "$float", "Infinity")
	case math.IsInf(value, -1):
		return appendTag(to, "$float", "-Infinity")
	case value == math.Trunc(value):
		return appendTag(to, "$float", strconv.FormatFloat(value, 'g', -1, 64))
	}
	return strconv.AppendFloat(to, value, 'g', -1, 64)
}

// appendText writes text; a string of Go may hold bytes that are none.
func appendText(to []byte, text string) []byte {
	if !utf8.ValidString(text) {
		return appendTag(to, "$bytes", base64.StdEncoding.EncodeToString([]byte(text)))
	}
	to = append(to, '"')
	start := 0
	for i := range len(text) {
		if letter := text[i]; letter < ' ' || letter == '"' || letter == '\\' {
			to = append(to, text[start:i]...)
			to = append(to, fmt.Sprintf(`\u%04x`, letter)...)
			start = i + 1
		}
	}
	return append(append(to, text[start:]...), '"')
}

func appendList(to []byte, list []any) (_ []byte, err error) {
	to = append(to, '[')
	for i, each := range list {
		if i > 0 {
			to = append(to, ',')
		}
		if to, err = appendTagged(to, each); err != nil {
			return nil, err
		}
	}
	return append(to, ']'), nil
}

func appendMap(to []byte, fields map[string]any) (_ []byte, err error) {
	for key := range fields {
		if strings.HasPrefix(key, "$") || !utf8.ValidString(key) {
			made := make(pairs, 0, len(fields))
			for key, each := range fields {
				made = append(made, [2]any{key, each})
			}
			return appendPairs(to, made)
		}
	}
	separator := byte('{')
	for key, each := range fields {
		to = append(appendText(append(to, separator), key), ':')
		if to, err = appendTagged(to, each); err != nil {
			return nil, err
		}
		separator = ','
	}
	if separator == '{' {
		to = append(to, '{')
	}
	return append(to, '}'), nil
}

func appendPairs(to []byte, made pairs) ([]byte, error) {
	list := make([]any, len(made))
	for i, pair := range made {
		list[i] = []any{pair[0], pair[1]}
	}
	to, err := appendList(append(to, `{"$map":`...), list)
	return append(to, '}'), err
}
