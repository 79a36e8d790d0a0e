package render

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// What a [Process] and its child say to each other: frames, one at a time. The parent begins with a job. The child asks
// for files, each question being answered before it goes on, tells each object when it has it, and ends with a result.
// Then the parent may send the next job.

// job is what the parent wants. Its body is that of the answer.
type job struct {
	Dir    string
	Limits Limits
	Memory int64  // bytes; those of the first job hold
	Ahead  answer // is Dir's list, so that the child need not ask for it; empty if there is none
}

// message is all that the child says: a question, an object, the end of a plain file, or the result.
type message struct {
	Op     operation `json:",omitempty"` // the question, about Name
	Name   string    `json:",omitempty"`
	Object string    `json:",omitempty"` // the file of an object; the frame's body is its JSON
	Line   int       `json:",omitempty"` // of the object in it
	Parsed string    `json:",omitempty"` // a plain file
	Told   int       `json:",omitempty"` // how many objects it has: they were told just before; 0 where they are Known
	Result *result   `json:",omitempty"`
}

type operation string

const (
	opStat operation = "stat"
	opRead operation = "read"
	opList operation = "list"
)

// answer holds what the operation gives, or why not. The body is the content of what was read, or of those files in
// Infos that are Sent, one after the other.
type answer struct {
	Infos   []info `json:",omitempty"` // a directory's if it is Listed, else the one of stat
	Listed  bool   `json:",omitempty"` // stat of a directory gives its list
	Missing bool   `json:",omitempty"` // there is no such file
	Err     string `json:",omitempty"`
}

// result ends a job: the objects told so far are all there are, or the error says why they are worth nothing.
type result struct {
	Err  *Error `json:",omitempty"`
	Held int64  // bytes of memory that the child has from the kernel
}

// info is both [fs.FileInfo] and [fs.DirEntry].
type info struct {
	Base  string      `json:",omitempty"`
	Bytes int64       `json:",omitempty"` // 0 for an entry of a directory that is neither sent nor known
	Kind  fs.FileMode `json:",omitempty"`
	Sent  bool        `json:",omitempty"` // the answer has the content, too
	Known []known     `json:",omitempty"` // the objects of a file that need not be read
}

func (i info) Name() string               { return i.Base }
func (i info) Size() int64                { return i.Bytes }
func (i info) Mode() fs.FileMode          { return i.Kind }
func (i info) Type() fs.FileMode          { return i.Kind.Type() }
func (i info) IsDir() bool                { return i.Kind.IsDir() }
func (i info) ModTime() time.Time         { return time.Time{} }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }

// pipe carries frames: the lengths of a header and a body, the header as JSON, and the body as it is.
type pipe struct {
	in  *bufio.Reader
	out *bufio.Writer
}

func newPipe(in io.Reader, out io.Writer) *pipe {
	const buffer = 32 << 10
	return &pipe{bufio.NewReaderSize(in, buffer), bufio.NewWriterSize(out, buffer)}
}

// send leaves a frame with a body of all the parts to the next flush.
func (p *pipe) send(header any, parts ...[]byte) error {
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	body := 0
	for _, part := range parts {
		body += len(part)
	}
	if max(len(text), body) > longestFrame {
		return errors.New("there is more than fits into a frame")
	}
	var lengths [8]byte
	binary.BigEndian.PutUint32(lengths[:4], uint32(len(text)))
	binary.BigEndian.PutUint32(lengths[4:], uint32(body))
	for _, part := range append([][]byte{lengths[:], text}, parts...) {
		if _, err := p.out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipe) flush() error { return p.out.Flush() }

// longestFrame bounds what one end can make the other keep.
const longestFrame = 1 << 30

// receive waits for a frame; [io.EOF] says that the other end is closed.
func (p *pipe) receive(header any) (body []byte, err error) {
	var lengths [8]byte
	if _, err := io.ReadFull(p.in, lengths[:]); err != nil {
		return nil, err
	}
	text, err := p.part(binary.BigEndian.Uint32(lengths[:4]))
	if err == nil {
		err = json.Unmarshal(text, header)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a frame: %w", err)
	}
	return p.part(binary.BigEndian.Uint32(lengths[4:]))
}

func (p *pipe) part(length uint32) ([]byte, error) {
	if length > longestFrame {
		return nil, fmt.Errorf("a frame has %d bytes", length)
	}
	content := make([]byte, length)
	_, err := io.ReadFull(p.in, content)
	return content, err
}
