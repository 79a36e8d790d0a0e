package render

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode"
)

// Reason says in a word, fit for a condition, what kind of trouble an [Error] is.
type Reason string

// The reasons there are. Only [Crashed], [Killed], [TimedOut] and [Unreadable] may go away by trying again.
const (
	Crashed              Reason = "Crashed" // the child of a [Process] ended without a result
	DuplicateObject      Reason = "DuplicateObject"
	InvalidKustomization Reason = "InvalidKustomization"
	InvalidObject        Reason = "InvalidObject"
	InvalidYAML          Reason = "InvalidYAML"
	NothingRendered      Reason = "NothingRendered"
	Killed               Reason = "Killed" // the child was, from outside
	OutOfMemory          Reason = "OutOfMemory"
	PathNotFound         Reason = "PathNotFound"
	RemoteBase           Reason = "RemoteBase"
	TimedOut             Reason = "TimedOut"
	TooLarge             Reason = "TooLarge"
	Unreadable           Reason = "Unreadable"  // the tree refuses to open it; the tree's error is wrapped
	Unsupported          Reason = "Unsupported" // helm, plugins, another tool's files
)

// Error says what is wrong with a tree. It quotes names from it, and no values.
type Error struct {
	Reason Reason
	File   string // in the repository; empty where Detail names the files
	Line   int    // from 1; 0 where it is not known
	Detail string // what is wrong, and what would be right

	err error // of the tree
}

// Error is "deploy/cart.yaml:12: found a tab where indentation is expected": one line of at most 1 KiB.
func (e *Error) Error() string {
	const longest = 1 << 10
	text := e.Detail
	switch {
	case e.Line > 0:
		text = fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
	case e.File == ".":
		text = "the repository's root: " + text
	case e.File != "":
		text = e.File + ": " + text
	}
	text = printable(text)
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest-len("…")], "") + "…"
	}
	return text
}

// Unwrap returns the tree's error, or nil.
func (e *Error) Unwrap() error { return e.err }

// printable replaces what would move a terminal's cursor or hide in a log.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func fail(reason Reason, file, format string, args ...any) *Error {
	return place{file: file}.fail(reason, format, args...)
}

// unreadable passes the tree's own error on.
func unreadable(file string, err error) *Error {
	detail := err
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		detail = e.Err // without the name that File has
	}
	e := fail(Unreadable, file, "%v", detail)
	e.err = err
	return e
}

// place is where in the repository something stands.
type place struct {
	file string
	line int // 0 where it is not known
}

func (p place) fail(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, File: p.file, Line: p.line, Detail: fmt.Sprintf(format, args...)}
}

// Describe tells the reason, and whether trying again may help. Where the tree itself could not be read, the tree's
// error knows better.
func (e *Error) Describe() (reason string, temporary bool, after time.Duration) {
	var tree interface {
		Describe() (string, bool, time.Duration)
	}
	if errors.As(e.err, &tree) {
		return tree.Describe()
	}
	switch e.Reason {
	case Crashed, Killed, TimedOut, Unreadable:
		return string(e.Reason), true, 0
	}
	return string(e.Reason), false, 0
}
