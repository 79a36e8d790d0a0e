package render

import (
	"encoding/json"
	"io/fs"
	"time"
)

// What a [Process] and its child say to each other: JSON values, one at a time. The parent begins with a job; the child
// asks for files, each question being answered before the next, and ends with a result.

// job is what the parent wants.
type job struct {
	Dir    string
	Limits Limits
	Memory int64 // bytes
}

// question is all that the child says: the operation and a name in the tree, or the result.
type question struct {
	Op     operation `json:",omitempty"`
	Name   string    `json:",omitempty"`
	Result *result   `json:",omitempty"`
}

type operation string

const (
	opStat operation = "stat"
	opRead operation = "read"
	opList operation = "list"
)

// answer holds what the operation gives, or why not.
type answer struct {
	Content []byte `json:",omitempty"`
	Infos   []info `json:",omitempty"` // the one of stat, or a directory's
	Missing bool   `json:",omitempty"` // there is no such file
	Err     string `json:",omitempty"`
}

// result is the objects, or the error.
type result struct {
	Objects []rendered `json:",omitempty"`
	Err     *Error     `json:",omitempty"`
}

type rendered struct {
	File    string
	Content json.RawMessage
}

// info is both [fs.FileInfo] and [fs.DirEntry].
type info struct {
	Base  string
	Bytes int64
	Kind  fs.FileMode
}

func (i info) Name() string               { return i.Base }
func (i info) Size() int64                { return i.Bytes }
func (i info) Mode() fs.FileMode          { return i.Kind }
func (i info) Type() fs.FileMode          { return i.Kind.Type() }
func (i info) IsDir() bool                { return i.Kind.IsDir() }
func (i info) ModTime() time.Time         { return time.Time{} }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
