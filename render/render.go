// Package render turns a directory of a repository's tree into objects: with kustomize where there is a
// kustomization, and else from plain YAML.
//
// It is hermetic: what it builds depends on the tree alone, nothing is fetched, and no plugin, chart or function is
// run. It is bounded: aliases that expand without end, layers of kustomizations and sheer size are refused, and a
// [Process] caps memory and time, which kustomize itself cannot. And it is discreet: an [Error] says file, line and
// what is wrong in words of this package, because the messages of kustomize and of YAML decoders quote Secrets.
//
// Where the tree comes from, what is substituted in the objects, and what a cluster thinks of them is left to others.
package render

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// Limits bound one build. Zero means the default.
type Limits struct {
	Files          int   // read, one counting each time it is used; 10,000
	Bytes          int64 // of all files read, and of all objects as JSON; 32 MiB
	Kustomizations int   // read, a base counting each time it is used; 500
	Objects        int   // 10,000
	ObjectBytes    int   // of one object as JSON; 1 MiB, near to what etcd stores
}

func (l Limits) orDefault() Limits {
	return Limits{
		Files:          cmp.Or(l.Files, 10_000),
		Bytes:          cmp.Or(l.Bytes, 32<<20),
		Kustomizations: cmp.Or(l.Kustomizations, 500),
		Objects:        cmp.Or(l.Objects, 10_000),
		ObjectBytes:    cmp.Or(l.ObjectBytes, 1<<20),
	}
}

// Build renders dir of the tree; "" is its root. The tree's root is the repository's, so that a base elsewhere in the
// repository is found. What is wrong with the tree is told as an [*Error].
//
// It works in this process, where nothing bounds its memory, nothing interrupts it, and kustomize writes its warnings to
// stderr: build a tree that others can write with a [Process].
func Build(tree fs.FS, dir string, limits Limits) (manifests.Set, error) {
	var objects gathered
	if err := build(tree, dir, limits, &objects); err != nil {
		return manifests.Set{}, err
	}
	return manifests.NewSet(objects...)
}

// sink takes what a build makes when it is made; after an error it counts for nothing.
type sink interface {
	// object takes an object, with the JSON that it was made of.
	object(o manifests.Object, text []byte, at place) error
	// parsed takes the end of a plain file, and how many objects of it were given. Those that are known are not.
	parsed(file string, given int) error
}

// gathered is a sink that keeps the objects.
type gathered []manifests.Object

func (g *gathered) object(o manifests.Object, _ []byte, _ place) error {
	*g = append(*g, o)
	return nil
}

func (g *gathered) parsed(string, int) error { return nil }

// build gives what it makes to a sink.
func build(tree fs.FS, dir string, limits Limits, made sink) error {
	limits = limits.orDefault()
	b := &builder{tree: &reader{tree: tree, limits: limits}, limits: limits, made: made, files: map[manifests.ID]string{}}
	dir = path.Clean(dir)
	if err := b.directory(dir); err != nil {
		return err
	}
	if len(b.files) == 0 {
		return fail(NothingRendered, dir, "there is no object in it")
	}
	return nil
}

// builder gathers the objects of one build.
type builder struct {
	tree   *reader
	limits Limits
	made   sink
	files  map[manifests.ID]string // of the objects so far
	bytes  int64
}

// directory builds dir the way its files ask for.
func (b *builder) directory(dir string) error {
	info, err := b.tree.stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(PathNotFound, dir, "there is no such directory in the repository")
	case err != nil:
		return err
	case !info.IsDir():
		return fail(PathNotFound, dir, "is a file: name the directory it is in")
	}
	kustomization, err := b.tree.kustomization(dir)
	if err != nil {
		return err
	}
	if kustomization != "" {
		return b.kustomize(dir)
	}
	return b.plain(dir)
}

// add keeps one object, which text is the JSON of.
func (b *builder) add(content map[string]any, text []byte, at place) error {
	o, err := manifests.NewObject(&unstructured.Unstructured{Object: content}, at.file)
	if err != nil {
		return at.fail(InvalidObject, "%s", strings.TrimPrefix(err.Error(), at.file+": "))
	}
	if err := b.count(o.ID(), len(text), at); err != nil {
		return err
	}
	return b.made.object(o, text, at)
}

// count adds one object, of so many bytes as JSON, to those that are bounded.
func (b *builder) count(id manifests.ID, bytes int, at place) error {
	if bytes > b.limits.ObjectBytes {
		return at.fail(TooLarge, "%s has %d bytes, more than the limit of %d", id, bytes, b.limits.ObjectBytes)
	}
	if len(b.files) >= b.limits.Objects {
		return at.fail(TooLarge, "there are more than %d objects", b.limits.Objects)
	}
	if b.bytes += int64(bytes); b.bytes > b.limits.Bytes {
		return at.fail(TooLarge, "the objects have more than %d bytes together", b.limits.Bytes)
	}
	if first, twice := b.files[id]; twice {
		return fail(DuplicateObject, "", "%s is defined twice, in %s and in %s: keep one", id, first, at.file)
	}
	b.files[id] = at.file
	return nil
}
