package main

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/wire-go/pb"
)

// fixedProtobuf is protobuf by the messages that both services agreed on.
type fixedProtobuf struct{}

func (fixedProtobuf) encode(value any) ([]byte, error) {
	made, err := commentOf(value)
	if err != nil {
		return nil, err
	}
	message, err := made.message()
	if err != nil {
		return nil, err
	}
	return proto.Marshal(message)
}

func (fixedProtobuf) decode(data []byte) (any, error) {
	var message pb.Comment
	if err := proto.Unmarshal(data, &message); err != nil {
		return nil, err
	}
	made, err := commentOfMessage(&message)
	if err != nil {
		return nil, err
	}
	return made.value(), nil
}

func (c *Comment) message() (*pb.Comment, error) {
	meta, err := json.Marshal(c.Meta)
	if err != nil {
		return nil, err
	}
	rest, err := json.Marshal(c.Rest)
	if err != nil {
		return nil, err
	}
	distinguished, err := numberOf(c.Distinguished)
	if err != nil {
		return nil, err
	}
	made := &pb.Comment{
		Id:            c.ID,
		ParentId:      c.ParentID,
		Body:          c.Body,
		Author:        c.Author,
		Score:         c.Score,
		Ups:           c.Ups,
		Edited:        timestamp(c.Edited.At),
		Created:       timestamppb.New(c.Created),
		Tags:          c.Tags,
		Meta:          string(meta),
		Gildings:      c.Gildings,
		Distinguished: distinguished,
		Blob:          c.Blob,
		Counts:        c.Counts,
		Ratio:         float64(c.Ratio),
		Stickied:      c.Stickied,
		SendReplies:   &c.SendReplies,
		Rest:          string(rest),
	}
	if c.Flair != nil {
		made.Flair = &pb.Flair{Text: c.Flair.Text, Css: c.Flair.CSS}
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

func commentOfMessage(message *pb.Comment) (*Comment, error) {
	made := newComment()
	if err := json.Unmarshal([]byte(message.Meta), &made.Meta); err != nil {
		return nil, fmt.Errorf("meta: %w", err)
	}
	if err := json.Unmarshal([]byte(message.Rest), &made.Rest); err != nil {
		return nil, fmt.Errorf("rest: %w", err)
	}
	made.ID, made.ParentID, made.Body, made.Author = message.Id, message.ParentId, message.Body, message.Author
	made.Score, made.Ups, made.Ratio = message.Score, message.Ups, Float(message.Ratio)
	made.Edited.At, made.Created = moment(message.Edited), message.Created.AsTime()
	made.Tags = append(made.Tags, message.Tags...)
	made.Blob = append(made.Blob, message.Blob...)
	for key, each := range message.Gildings {
		made.Gildings[key] = each
	}
	for key, each := range message.Counts {
		made.Counts[key] = each
	}
	made.Distinguished = nameOf(message.Distinguished)
	if message.Flair != nil {
		made.Flair = &Flair{Text: message.Flair.Text, CSS: message.Flair.Css}
	}
	made.Stickied = message.Stickied
	made.SendReplies = message.SendReplies == nil || *message.SendReplies
	for _, each := range message.Children {
		child, err := commentOfMessage(each)
		if err != nil {
			return nil, err
		}
		made.Children = append(made.Children, child)
	}
	return made, nil
}

func timestamp(at *time.Time) *timestamppb.Timestamp {
	if at == nil {
		return nil
	}
	return timestamppb.New(*at)
}

func moment(at *timestamppb.Timestamp) *time.Time {
	if at == nil {
		return nil
	}
	made := at.AsTime()
	return &made
}

var distinctions = []string{"", "moderator", "admin", "special"}

func numberOf(name *string) (pb.Distinguished, error) {
	for number, each := range distinctions {
		if name == nil || *name == each {
			return pb.Distinguished(number), nil
		}
	}
	return 0, fmt.Errorf("distinguished: %q is not known", *name)
}

// nameOf gives the name of a distinction; one of a later version keeps its number.
func nameOf(number pb.Distinguished) *string {
	if number == 0 {
		return nil
	}
	name := number.String()
	if 0 < number && int(number) < len(distinctions) {
		name = distinctions[number]
	}
	return &name
}
