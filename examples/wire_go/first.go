package main

import (
	"encoding/json"
	"math/big"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/wire-go/pb"
)

// firstComment is the comment as it was first written: what anybody would write who has only seen some comments.
type firstComment struct {
	ID            int64            `json:"id" msgpack:"id"`
	ParentID      *int64           `json:"parent_id,string" msgpack:"parent_id"`
	Body          string           `json:"body" msgpack:"body"`
	Author        string           `json:"author,omitempty" msgpack:"author,omitempty"`
	Score         int32            `json:"score" msgpack:"score"`
	Ups           uint32           `json:"ups,omitempty" msgpack:"ups,omitempty"`
	Edited        *localTime       `json:"edited,omitempty" msgpack:"edited,omitempty"`
	Created       stamp            `json:"created" msgpack:"created"`
	Tags          []string         `json:"tags" msgpack:"tags"`
	Meta          map[string]any   `json:"meta" msgpack:"meta"`
	Gildings      map[string]int64 `json:"gildings" msgpack:"gildings"`
	Distinguished string           `json:"distinguished,omitempty" msgpack:"distinguished,omitempty"`
	Children      []*firstComment  `json:"children,omitempty" msgpack:"children,omitempty"`
	Blob          raw              `json:"blob" msgpack:"blob"`
	Counts        map[string]int64 `json:"counts" msgpack:"counts"`
	Ratio         single           `json:"ratio" msgpack:"ratio"`
	Flair         *firstFlair      `json:"flair" msgpack:"flair"`
	Stickied      bool             `json:"stickied,omitempty" msgpack:"stickied,omitempty"`
	SendReplies   bool             `json:"send_replies,omitempty" msgpack:"send_replies,omitempty"`
}

type firstFlair struct {
	_msgpack struct{} `msgpack:",as_array"` // shorter

	Text string `json:"text"`
	CSS  string `json:"css"`
}

// stamp is written to the second, as the log is.
type stamp struct{ time.Time }

func (s stamp) MarshalJSON() ([]byte, error) { return json.Marshal(s.Format(time.RFC3339)) }

func (s stamp) EncodeMsgpack(encoder *msgpack.Encoder) error { return encoder.EncodeTime(s.Time) }

func (s *stamp) DecodeMsgpack(decoder *msgpack.Decoder) (err error) {
	s.Time, err = decoder.DecodeTime()
	return err
}

// localTime is written as the database shows it.
type localTime struct{ time.Time }

func (t localTime) MarshalJSON() ([]byte, error) {
	return json.Marshal(t.Format("2006-01-02T15:04:05.999999"))
}

func (t localTime) EncodeMsgpack(encoder *msgpack.Encoder) error {
	return encoder.EncodeString(t.Format("2006-01-02T15:04:05.999999"))
}

func (t *localTime) DecodeMsgpack(decoder *msgpack.Decoder) (err error) {
	t.Time, err = decoder.DecodeTime()
	return err
}

// raw is bytes: base64 in JSON, and in MessagePack a string, for Go's strings are bytes.
type raw []byte

func (r raw) EncodeMsgpack(encoder *msgpack.Encoder) error { return encoder.EncodeString(string(r)) }

func (r *raw) DecodeMsgpack(decoder *msgpack.Decoder) (err error) {
	*r, err = decoder.DecodeBytes()
	return err
}

// single has digits enough for a ratio.
type single float32

func (s *single) DecodeMsgpack(decoder *msgpack.Decoder) error {
	number, err := decoder.DecodeFloat64()
	*s = single(number)
	return err
}

type firstJSON struct{}

func (firstJSON) encode(value any) ([]byte, error) {
	made, err := firstOf(value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(made)
}

func (firstJSON) decode(data []byte) (any, error) {
	var made firstComment
	if err := json.Unmarshal(data, &made); err != nil {
		return nil, err
	}
	return made.value(), nil
}

type firstDocument struct{}

func (firstDocument) encode(value any) ([]byte, error) { return json.Marshal(inMemory(value)) }

func (firstDocument) decode(data []byte) (value any, err error) {
	err = json.Unmarshal(data, &value)
	return value, err
}

type firstMsgpack struct{}

func (firstMsgpack) encode(value any) ([]byte, error) {
	made, err := firstOf(value)
	if err != nil {
		return nil, err
	}
	return msgpack.Marshal(made)
}

func (firstMsgpack) decode(data []byte) (any, error) {
	var made firstComment
	if err := msgpack.Unmarshal(data, &made); err != nil {
		return nil, err
	}
	return generic(made.value())
}

type firstProtobuf struct{}

func (firstProtobuf) encode(value any) ([]byte, error) {
	made, err := firstOf(value)
	if err != nil {
		return nil, err
	}
	message, err := made.message()
	if err != nil {
		return nil, err
	}
	return proto.Marshal(message)
}

func (firstProtobuf) decode(data []byte) (any, error) {
	var message pb.FirstComment
	if err := proto.Unmarshal(data, &message); err != nil {
		return nil, err
	}
	return firstOfMessage(&message).value(), nil
}

// firstOf fills the fields as the service does from its database. Lists and maps without entries stay nil.
func firstOf(value any) (*firstComment, error) {
	given, err := commentOf(value)
	if err != nil {
		return nil, err
	}
	return given.first(), nil
}

func (c *Comment) first() *firstComment {
	made := &firstComment{
		ID:          c.ID,
		ParentID:    c.ParentID,
		Body:        c.Body,
		Author:      c.Author,
		Score:       int32(c.Score),
		Ups:         uint32(c.Ups),
		Created:     stamp{c.Created},
		Blob:        raw(c.Blob),
		Ratio:       single(c.Ratio),
		Stickied:    c.Stickied,
		SendReplies: c.SendReplies,
	}
	if c.Edited.At != nil {
		made.Edited = &localTime{*c.Edited.At}
	}
	made.Tags = append(made.Tags, c.Tags...)
	if len(c.Meta) > 0 {
		made.Meta, _ = inMemory(map[string]any(c.Meta)).(map[string]any)
	}
	for key, each := range c.Gildings {
		if made.Gildings == nil {
			made.Gildings = map[string]int64{}
		}
		made.Gildings[key] = each
	}
	if c.Distinguished != nil {
		made.Distinguished = knownDistinction(*c.Distinguished)
	}
	for _, child := range c.Children {
		made.Children = append(made.Children, child.first())
	}
	made.Counts = map[string]int64{}
	for key, each := range c.Counts {
		made.Counts[big.NewInt(key).String()] = each
	}
	if c.Flair != nil {
		made.Flair = &firstFlair{Text: c.Flair.Text}
		if c.Flair.CSS != nil {
			made.Flair.CSS = *c.Flair.CSS
		}
	}
	return made
}

// knownDistinction takes what it does not know for none.
func knownDistinction(name string) string {
	switch name {
	case "moderator", "admin":
		return name
	default:
		return ""
	}
}

// inMemory has numbers as encoding/json gives them to whoever asks for no type.
func inMemory(value any) any {
	switch value := value.(type) {
	case int64:
		return float64(value)
	case *big.Int:
		large, _ := new(big.Float).SetInt(value).Float64()
		return large
	case []any:
		return list(value, inMemory)
	case map[string]any:
		made := make(map[string]any, len(value))
		for key, each := range value {
			made[key] = inMemory(each)
		}
		return made
	}
	return value
}

func (c *firstComment) value() any {
	made := map[string]any{
		"id":            c.ID,
		"parent_id":     optional(c.ParentID),
		"body":          c.Body,
		"author":        c.Author,
		"score":         int64(c.Score),
		"ups":           int64(c.Ups),
		"edited":        false,
		"created":       c.Created.Time,
		"tags":          list(c.Tags, func(each string) any { return each }),
		"meta":          nil,
		"gildings":      mapOf(c.Gildings),
		"distinguished": nil,
		"children":      list(c.Children, (*firstComment).value),
		"blob":          []byte(c.Blob),
		"counts":        mapOf(c.Counts),
		"ratio":         float64(c.Ratio),
		"flair":         nil,
		"stickied":      c.Stickied,
		"send_replies":  c.SendReplies,
		"rest":          map[string]any{},
	}
	if c.Edited != nil {
		made["edited"] = c.Edited.Time
	}
	if c.Meta != nil {
		made["meta"] = c.Meta
	}
	if name := knownDistinction(c.Distinguished); name != "" {
		made["distinguished"] = name
	}
	if c.Flair != nil {
		made["flair"] = map[string]any{"text": c.Flair.Text, "css": c.Flair.CSS}
	}
	return made
}

func (c *firstComment) message() (*pb.FirstComment, error) {
	meta, err := json.Marshal(c.Meta)
	if err != nil {
		return nil, err
	}
	made := &pb.FirstComment{
		Id:          c.ID,
		Body:        c.Body,
		Author:      c.Author,
		Score:       c.Score,
		Ups:         c.Ups,
		Created:     timestamppb.New(c.Created.Time),
		Tags:        c.Tags,
		Meta:        string(meta),
		Gildings:    c.Gildings,
		Blob:        string(c.Blob),
		Counts:      map[int32]int32{},
		Ratio:       float32(c.Ratio),
		Stickied:    c.Stickied,
		SendReplies: c.SendReplies,
	}
	if c.ParentID != nil {
		made.ParentId = *c.ParentID
	}
	if c.Edited != nil {
		made.Edited = timestamppb.New(c.Edited.Time)
	}
	if made.Distinguished, err = numberOf(&c.Distinguished); err != nil {
		return nil, err
	}
	for key, each := range c.Counts {
		number, _ := new(big.Int).SetString(key, 10)
		made.Counts[int32(number.Int64())] = int32(each)
	}
	if c.Flair != nil {
		made.Flair = &pb.FirstFlair{Text: c.Flair.Text, Css: c.Flair.CSS}
	}
	for _, child := range c.Children {
		message, err := child.message()
		if err != nil {
			return nil, err
		}
		made.Children = append(made.Children, message)
	}
	return made, nil
}

func firstOfMessage(message *pb.FirstComment) *firstComment {
	made := &firstComment{
		ID:          message.Id,
		ParentID:    &message.ParentId,
		Body:        message.Body,
		Author:      message.Author,
		Score:       message.Score,
		Ups:         message.Ups,
		Created:     stamp{message.Created.AsTime()},
		Tags:        message.Tags,
		Gildings:    message.Gildings,
		Blob:        raw(message.Blob),
		Counts:      map[string]int64{},
		Ratio:       single(message.Ratio),
		Stickied:    message.Stickied,
		SendReplies: message.SendReplies,
	}
	// What is no JSON leaves it empty.
	_ = json.Unmarshal([]byte(message.Meta), &made.Meta)
	if message.Edited != nil {
		made.Edited = &localTime{message.Edited.AsTime()}
	}
	if name := nameOf(message.Distinguished); name != nil {
		made.Distinguished = *name
	}
	for key, each := range message.Counts {
		made.Counts[big.NewInt(int64(key)).String()] = int64(each)
	}
	if message.Flair != nil {
		made.Flair = &firstFlair{Text: message.Flair.Text, CSS: message.Flair.Css}
	}
	for _, child := range message.Children {
		made.Children = append(made.Children, firstOfMessage(child))
	}
	return made
}
