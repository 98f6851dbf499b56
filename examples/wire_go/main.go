// Wire-go encodes and decodes comments for others, as the Go service does it.
//
// It speaks shadowmig's protocol for codecs: requests come as lines of JSON on standard input, replies go as lines to
// standard output.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
)

// codec turns values into bytes and back.
type codec interface {
	encode(value any) ([]byte, error)
	decode(data []byte) (any, error)
}

// codecs has each format as it was first written, and with its mistakes corrected.
var codecs = map[string][2]codec{
	"json":     {firstJSON{}, fixedJSON{}},
	"json-any": {firstDocument{}, fixedDocument{}},
	"msgpack":  {firstMsgpack{}, fixedMsgpack{}},
	"protobuf": {firstProtobuf{}, fixedProtobuf{}},
}

// foreign are flags of Memcached that Python's clients use for pickles, ints and compressed bytes: nothing for Go.
const foreign = 1 | 2 | 4 | 8

type request struct {
	ID    int64
	Op    string
	Items []struct {
		Value json.RawMessage
		Data  []byte // base64
		Flags uint32
	}
}

func main() {
	fixed := flag.Bool("fixed", false, "without the mistakes of the first version")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: wire-go [--fixed] json|json-any|msgpack|protobuf")
		flag.PrintDefaults()
	}
	flag.Parse()
	// What is nested without end should end this program before it takes a gigabyte, which is the default.
	debug.SetMaxStack(64 << 20)
	pair, known := codecs[flag.Arg(0)]
	if !known || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	chosen := pair[0]
	if *fixed {
		chosen = pair[1]
	}
	if err := serve(os.Stdin, os.Stdout, chosen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers until its input ends.
func serve(input io.Reader, output io.Writer, chosen codec) error {
	reader := bufio.NewReaderSize(input, 1<<18)
	if _, err := io.WriteString(output, "{\"protocol\": 1}\n"); err != nil {
		return err
	}
	var reply []byte
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			return fmt.Errorf("no request: %w", err)
		}
		reply = appendReply(reply[:0], &asked, chosen)
		if _, err := output.Write(reply); err != nil {
			return err
		}
	}
}

func appendReply(to []byte, asked *request, chosen codec) []byte {
	to = append(to, `{"id":`...)
	to = strconv.AppendInt(to, asked.ID, 10)
	to = append(to, `,"items":[`...)
	for i := range asked.Items {
		if i > 0 {
			to = append(to, ',')
		}
		start := len(to)
		item := &asked.Items[i]
		var err error
		switch {
		case asked.Op == "encode":
			to, err = appendEncoded(to, item.Value, chosen)
		case item.Flags&foreign != 0:
			to = append(to, `{"miss":true}`...)
		default:
			to, err = appendDecoded(to, item.Data, chosen)
		}
		if err != nil {
			to = append(appendText(append(to[:start], `{"error":`...), err.Error()), '}')
		}
	}
	return append(to, "]}\n"...)
}

func appendEncoded(to []byte, text []byte, chosen codec) ([]byte, error) {
	value, err := readTagged(text)
	if err != nil {
		return to, err
	}
	data, err := chosen.encode(value)
	if err != nil {
		return to, err
	}
	to = append(to, `{"data":"`...)
	to = base64.StdEncoding.AppendEncode(to, data)
	return append(to, `"}`...), nil
}

func appendDecoded(to []byte, data []byte, chosen codec) ([]byte, error) {
	value, err := chosen.decode(data)
	if err != nil {
		return to, err
	}
	made, err := appendTagged(append(to, `{"value":`...), value)
	if err != nil {
		return to, err
	}
	return append(made, '}'), nil
}
