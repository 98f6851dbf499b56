// Small is a codec for shadowmig in one file: a service's own comments, as it writes them in JSON.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"
)

// docs begin service

// Comment is the service's own.
type Comment struct {
	ID      int64     `json:"id"`
	Body    string    `json:"body"`
	Created time.Time `json:"created"`
}

// docs end service

// docs begin protocol

type request struct {
	ID    int64
	Op    string
	Items []struct {
		Value json.RawMessage // tagged JSON
		Data  []byte          // base64, which encoding/json does by itself
		Flags uint32
	}
}

type reply struct {
	ID    int64    `json:"id"`
	Items []answer `json:"items"`
}

// answer has one key: "value", "data" (bytes, which become base64) or "error".
type answer map[string]any

func main() {
	lines := bufio.NewReader(os.Stdin)
	output := json.NewEncoder(os.Stdout) // one line for each value, written at once
	fmt.Println(`{"protocol": 1}`)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return // shadowmig has gone, or wants no more
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			log.Fatal(err) // shadowmig shows it
		}
		answers := make([]answer, len(asked.Items))
		for i, item := range asked.Items {
			if asked.Op == "encode" {
				answers[i] = encode(item.Value)
			} else {
				answers[i] = decode(item.Data)
			}
		}
		if err := output.Encode(reply{asked.ID, answers}); err != nil {
			log.Fatal(err)
		}
	}
}

// docs end protocol

// docs begin values

// value is a comment in tagged JSON.
type value struct {
	ID      whole     `json:"id"`
	Body    string    `json:"body"`
	Created timestamp `json:"created"`
}

type timestamp struct {
	Time time.Time `json:"$time"`
}

// whole is an int, which has a tag beyond 2**53.
type whole int64

func (w whole) MarshalJSON() ([]byte, error) {
	digits := strconv.FormatInt(int64(w), 10)
	if -1<<53 <= w && w <= 1<<53 {
		return []byte(digits), nil
	}
	return json.Marshal(map[string]string{"$int": digits})
}

func (w *whole) UnmarshalJSON(text []byte) error {
	var tagged struct {
		Int int64 `json:"$int,string"`
	}
	if text[0] == '{' {
		err := json.Unmarshal(text, &tagged)
		*w = whole(tagged.Int)
		return err
	}
	return json.Unmarshal(text, (*int64)(w))
}

func encode(text []byte) answer {
	var given value
	if err := json.Unmarshal(text, &given); err != nil {
		return answer{"error": err.Error()}
	}
	data, err := json.Marshal(Comment{int64(given.ID), given.Body, given.Created.Time})
	if err != nil {
		return answer{"error": err.Error()}
	}
	return answer{"data": data}
}

func decode(data []byte) answer {
	var comment Comment
	if err := json.Unmarshal(data, &comment); err != nil {
		return answer{"error": err.Error()}
	}
	return answer{"value": value{whole(comment.ID), comment.Body, timestamp{comment.Created}}}
}

// docs end values
