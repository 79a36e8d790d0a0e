package render

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// kustomizationNames are what kustomize looks for, in its order.
var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// reader reads the tree, within limits. Its errors are of kind [Unreadable] or [TooLarge], but for
// [fs.ErrNotExist], which is left to the caller.
type reader struct {
	tree   fs.FS
	limits Limits

	// What was read so far, each time counting; documents are those that kustomize decodes.
	files, kustomizations, documents int
	bytes                            int64
}

func (r *reader) read(name string) ([]byte, error) {
	// The size is asked for first, so that a huge file is not even read.
	if _, err := r.admit(name); err != nil {
		return nil, err
	}
	content, err := fs.ReadFile(r.tree, name)
	r.bytes += int64(len(content))
	return content, told(name, err)
}

// admit counts a file that is to be read, and answers its size.
func (r *reader) admit(name string) (size int64, err error) {
	if r.files++; r.files > r.limits.Files {
		return 0, fail(TooLarge, name, "is one file too many: at most %d are read", r.limits.Files)
	}
	info, err := r.stat(name)
	if err != nil {
		return 0, err
	}
	if r.bytes+info.Size() > r.limits.Bytes {
		return 0, fail(TooLarge, name, "with its %d bytes more than %d are read", info.Size(), r.limits.Bytes)
	}
	return info.Size(), nil
}

// known is the objects of a plain file that was parsed before. It counts as if it were read.
func (r *reader) known(name string) ([]known, error) {
	tree, remembers := r.tree.(interface{ known(name string) []known })
	if !remembers {
		return nil, nil
	}
	objects := tree.known(name)
	if len(objects) == 0 {
		return nil, nil
	}
	size, err := r.admit(name)
	r.bytes += size
	return objects, err
}

// stat follows links.
func (r *reader) stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(r.tree, name)
	return info, told(name, err)
}

// list is the entries of a directory, sorted by name.
func (r *reader) list(dir string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(r.tree, dir)
	return entries, told(dir, err)
}

// kustomization is the name of dir's kustomization file, or "".
func (r *reader) kustomization(dir string) (string, error) {
	entries, err := r.list(dir)
	if err != nil {
		return "", err
	}
	var found []string
	for _, entry := range entries {
		if slices.Contains(kustomizationNames, entry.Name()) {
			found = append(found, entry.Name())
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return path.Join(dir, found[0]), nil
	}
	return "", fail(InvalidKustomization, dir, "holds %s: keep one", strings.Join(found, " and "))
}

func told(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		return fs.ErrNotExist
	}
	return unreadable(name, err)
}
