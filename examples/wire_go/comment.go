package main

import (
	"fmt"
	"strings"
	"time"
)

// Comment is what the service knows of a comment. Everything that may be null is a pointer.
type Comment struct {
	ID            int64
	ParentID      *int64
	Body          string
	Author        string
	Score         int64
	Ups           int64
	Edited        Edited
	Created       time.Time
	Tags          []string
	Meta          Document
	Gildings      map[string]int64
	Distinguished *string
	Children      []*Comment
	Blob          Blob
	Counts        map[int64]int64
	Ratio         Float
	Flair         *Flair
	Stickied      bool
	SendReplies   bool
	Rest          Document // fields that this version does not know, kept for those that do
}

// Flair is shown beside an author's name.
type Flair struct {
	Text string  `json:"text" msgpack:"text"`
	CSS  *string `json:"css" msgpack:"css"`
}

// Edited is false, or a time.
type Edited struct{ At *time.Time }

// Document is any JSON object; its whole numbers stay whole.
type Document map[string]any

// Blob is bytes, which in JSON are base64 in the alphabet of URLs.
type Blob []byte

// Float is written with a fraction in JSON, so that it stays a float for others.
type Float float64

// field is a field under its exact name: a pointer to where it is.
type field struct {
	name string
	at   any
}

// fields has all but Rest, in the order in which they are written.
func (c *Comment) fields() []field {
	return []field{
		{"id", &c.ID},
		{"parent_id", &c.ParentID},
		{"body", &c.Body},
		{"author", &c.Author},
		{"score", &c.Score},
		{"ups", &c.Ups},
		{"edited", &c.Edited},
		{"created", &c.Created},
		{"tags", &c.Tags},
		{"meta", &c.Meta},
		{"gildings", &c.Gildings},
		{"distinguished", &c.Distinguished},
		{"children", &c.Children},
		{"blob", &c.Blob},
		{"counts", &c.Counts},
		{"ratio", &c.Ratio},
		{"flair", &c.Flair},
		{"stickied", &c.Stickied},
		{"send_replies", &c.SendReplies},
	}
}

// newComment gives a comment whose lists and maps are empty, and not nil, which would be written as null.
func newComment() *Comment {
	return &Comment{
		Tags:     []string{},
		Meta:     Document{},
		Gildings: map[string]int64{},
		Children: []*Comment{},
		Blob:     Blob{},
		Counts:   map[int64]int64{},
		Rest:     Document{},
	}
}

// commentOf makes a comment of a value.
func commentOf(value any) (*Comment, error) {
	given, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%T is no comment", value)
	}
	made := newComment()
	for _, field := range made.fields() {
		if err := set(field.at, given[field.name]); err != nil {
			return nil, fmt.Errorf("%s: %w", field.name, err)
		}
	}
	rest := given["rest"]
	return made, set(&made.Rest, rest)
}

// value gives all fields of a comment.
func (c *Comment) value() any {
	made := map[string]any{"rest": map[string]any(c.Rest)}
	for _, field := range c.fields() {
		made[field.name] = get(field.at)
	}
	return made
}

// set puts a value into a field.
func set(at, value any) error {
	switch at := at.(type) {
	case **int64:
		if value == nil {
			return nil
		}
		*at = new(int64)
		return set(*at, value)
	case **string:
		if value == nil {
			return nil
		}
		*at = new(string)
		return set(*at, value)
	case *string:
		return assign(at, value)
	case *int64:
		return assign(at, value)
	case *bool:
		return assign(at, value)
	case *time.Time:
		return assign(at, value)
	case *Float:
		return assign((*float64)(at), value)
	case *Blob:
		return assign((*[]byte)(at), value)
	case *Document:
		return assign((*map[string]any)(at), value)
	case *Edited:
		if value == false {
			return nil
		}
		at.At = new(time.Time)
		return assign(at.At, value)
	case *[]string:
		return setEach(at, value, func(each any) (made string, err error) { return made, assign(&made, each) })
	case *[]*Comment:
		return setEach(at, value, commentOf)
	case *map[string]int64, *map[int64]int64:
		return setMap(at, value)
	case **Flair:
		return setFlair(at, value)
	}
	return fmt.Errorf("%T is not known", at)
}

// assign takes a value of the right type.
func assign[T any](at *T, value any) error {
	given, ok := value.(T)
	if !ok {
		return fmt.Errorf("%T is no %T", value, *at)
	}
	*at = given
	return nil
}

func setEach[T any](at *[]T, value any, make func(any) (T, error)) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("%T is no list", value)
	}
	for _, each := range list {
		made, err := make(each)
		if err != nil {
			return err
		}
		*at = append(*at, made)
	}
	return nil
}

func setMap(at, value any) error {
	// An empty map has no keys that could be of another type than text.
	given, ok := value.(pairs)
	texts, isMap := value.(map[string]any)
	if !ok && !isMap {
		return fmt.Errorf("%T is no map", value)
	}
	for key, each := range texts {
		given = append(given, [2]any{key, each})
	}
	for _, pair := range given {
		count, isInt := pair[1].(int64)
		var fits bool
		switch at := at.(type) {
		case *map[string]int64:
			var key string
			if key, fits = pair[0].(string); fits {
				(*at)[key] = count
			}
		case *map[int64]int64:
			var key int64
			if key, fits = pair[0].(int64); fits {
				(*at)[key] = count
			}
		}
		if !isInt || !fits {
			return fmt.Errorf("%T and %T are no entry", pair[0], pair[1])
		}
	}
	return nil
}

func setFlair(at **Flair, value any) error {
	if value == nil {
		return nil
	}
	given, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%T is no flair", value)
	}
	*at = &Flair{}
	if err := set(&(*at).Text, given["text"]); err != nil {
		return err
	}
	return set(&(*at).CSS, given["css"])
}

// get gives the value of a field.
func get(at any) any {
	switch at := at.(type) {
	case **int64:
		return optional(*at)
	case **string:
		return optional(*at)
	case *string:
		return *at
	case *int64:
		return *at
	case *bool:
		return *at
	case *time.Time:
		return at.UTC()
	case *Float:
		return float64(*at)
	case *Blob:
		return []byte(*at)
	case *Document:
		return map[string]any(*at)
	case *Edited:
		if at.At == nil {
			return false
		}
		return at.At.UTC()
	case *[]string:
		return list(*at, func(each string) any { return each })
	case *[]*Comment:
		return list(*at, (*Comment).value)
	case *map[string]int64:
		return mapOf(*at)
	case *map[int64]int64:
		return mapOf(*at)
	case **Flair:
		if *at == nil {
			return nil
		}
		return map[string]any{"text": (*at).Text, "css": optional((*at).CSS)}
	}
	panic(fmt.Sprintf("%T is not known", at))
}

func optional[T any](at *T) any {
	if at == nil {
		return nil
	}
	return *at
}

func list[T any](of []T, value func(T) any) any {
	if of == nil {
		return nil
	}
	made := make([]any, len(of))
	for i, each := range of {
		made[i] = value(each)
	}
	return made
}

func mapOf[K comparable](of map[K]int64) any {
	if of == nil {
		return nil
	}
	made := make(pairs, 0, len(of))
	for key, each := range of {
		made = append(made, [2]any{key, each})
	}
	return made
}

// unknown takes the fields that a comment has out of a document; what is left is its Rest.
func unknown(document map[string]any, known []field) Document {
	rest := Document{}
	for key, each := range document {
		rest[key] = each
	}
	for _, field := range known {
		delete(rest, field.name)
	}
	return rest
}

// isFloat tells by the spelling of a number whether it is a float.
func isFloat(number string) bool { return strings.ContainsAny(number, ".eE") }
