package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// looks are the files that were looked at, as they were then. They may be those of a mounted ConfigMap, which changes by a
// symbolic link: what it leads to counts.
type looks []look

type look struct {
	path string
	info fs.FileInfo // nil if it was not there
}

// at looks at a file before it is read, so that a change in between is seen the next time.
func (l *looks) at(path string) {
	info, err := os.Stat(path)
	if err != nil {
		info = nil
	}
	*l = append(*l, look{path, info})
}

func (l *looks) read(path string) ([]byte, error) {
	l.at(path)
	if _, err := stat(path); err != nil {
		return nil, unreadable(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(err)
	}
	return text, nil
}

// stat is [os.Stat], but a symbolic link that leads nowhere is not the same as nothing: what it leads to was not mounted
// with it.
func stat(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, there := os.Lstat(path); there == nil {
			return nil, &fs.PathError{Op: "stat", Path: path, Err: errors.New("it is a symbolic link that leads nowhere")}
		}
	}
	return info, err
}

// same tells whether all files are still as they were.
func (l looks) same() bool {
	for _, before := range l {
		now, err := os.Stat(before.path)
		if err != nil || before.info == nil {
			if err == nil || before.info != nil {
				return false
			}
			continue
		}
		if !os.SameFile(now, before.info) || now.Size() != before.info.Size() || !now.ModTime().Equal(before.info.ModTime()) {
			return false
		}
	}
	return true
}

func unreadable(err error) error {
	var where *fs.PathError
	if !errors.As(err, &where) {
		return err
	}
	return fmt.Errorf("%s: this must be there, and user %d, whom the agent runs as, must be able to read it: %w",
		where.Path, os.Getuid(), where.Err)
}
