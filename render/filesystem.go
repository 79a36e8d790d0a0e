package render

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// filesystem is the tree as kustomize sees it: read-only, with the repository's root as "/" and nothing outside.
// It checks each file before kustomize gets to see it.
type filesystem struct {
	tree  *reader
	dir   string // where kustomize is started
	start string // the kustomization file there

	// err is the first fault found. Kustomize takes some errors for a file that does not exist, and goes on.
	err error

	keepOrigins bool              // the kustomization asks for the annotations itself
	setsSchema  bool              // a kustomization has an OpenAPI schema of its own
	uses        map[use]bool      // what the kustomizations read so far use files for
	objects     map[string]places // by kind and name, as the files have them
}

func newFilesystem(tree *reader, dir string) *filesystem {
	return &filesystem{tree: tree, dir: dir, start: dir, uses: map[use]bool{}, objects: map[string]places{}}
}

// use says that a kustomization refers to a file, and what for.
type use struct {
	name    string
	purpose purpose
}

// onlyData tells a file that goes into ConfigMaps and Secrets as it is, and need not be YAML whatever its name.
func (f *filesystem) onlyData(name string) bool {
	return f.uses[use{name, asData}] && !f.uses[use{name, asConfig}] && !f.uses[use{name, asResource}]
}

// places is where the same name was seen, once each.
type places []place

func (p places) with(another place) places {
	if slices.Contains(p, another) {
		return p
	}
	return append(p, another)
}

// absolute is a name in the tree as a path for kustomize.
func absolute(name string) string { return path.Join("/", name) }

// relative is the opposite of absolute.
func relative(name string) string {
	if name = strings.TrimPrefix(path.Join("/", filepath.ToSlash(name)), "/"); name != "" {
		return name
	}
	return "."
}

// ReadFile implements [filesys.FileSystem].
func (f *filesystem) ReadFile(name string) ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	content, err := f.checked(relative(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDirectory) {
		f.err = err
	}
	return content, err
}

// errDirectory makes kustomize read a resource as a directory.
var errDirectory = errors.New("is a directory")

func (f *filesystem) checked(name string) ([]byte, error) {
	info, err := f.tree.stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errDirectory
	}
	content, err := f.tree.read(name)
	switch {
	case err != nil:
		return nil, err
	case slices.Contains(kustomizationNames, path.Base(name)):
		return f.kustomization(name, content)
	case f.uses[use{name, asEnv}]:
		return content, checkEnv(name, content)
	case f.onlyData(name):
		return content, nil
	}
	return content, f.manifest(name, content)
}

// checkEnv wants key=value in each line: for a key alone kustomize takes the value from its own environment.
func checkEnv(name string, content []byte) error {
	n := 0
	for line := range strings.Lines(string(content)) {
		n++
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && !strings.Contains(line, "=") {
			return place{name, n}.fail(InvalidKustomization, "is not key=value")
		}
	}
	return nil
}

// manifest checks text that kustomize is about to decode: resources, patches, configurations.
func (f *filesystem) manifest(name string, content []byte) error {
	documents, err := parse(name, content)
	if err != nil {
		return err
	}
	// Kustomize compares every object with every other: what is too many is better known before.
	if f.tree.documents += len(documents); f.tree.documents > f.tree.limits.Objects {
		return fail(TooLarge, name, "there are more than %d YAML documents", f.tree.limits.Objects)
	}
	documents = slices.DeleteFunc(documents, document.empty)
	for _, d := range documents {
		if d.root.Kind == yaml.ScalarNode {
			return d.fail(InvalidYAML, "is a text, where fields are expected")
		}
		kind, object := field(d.root, "kind"), field(member(d.root, "metadata"), "name")
		if f.uses[use{name, asResource}] && !strings.HasSuffix(kind, "List") && (kind == "" || object == "") {
			return d.fail(InvalidObject, "is not an object: want kind and metadata.name")
		}
		key := kind + "/" + object
		f.objects[key] = f.objects[key].with(d.place)
	}
	return nil
}

// CleanedAbs implements [filesys.FileSystem].
func (f *filesystem) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	clean := relative(name)
	info, err := f.tree.stat(clean)
	if err != nil {
		return "", "", err
	}
	if info.IsDir() {
		return filesys.ConfirmedDir(absolute(clean)), "", nil
	}
	return filesys.ConfirmedDir(absolute(path.Dir(clean))), path.Base(clean), nil
}

// Exists implements [filesys.FileSystem].
func (f *filesystem) Exists(name string) bool {
	_, err := f.tree.stat(relative(name))
	return err == nil
}

// IsDir implements [filesys.FileSystem].
func (f *filesystem) IsDir(name string) bool {
	info, err := f.tree.stat(relative(name))
	return err == nil && info.IsDir()
}

// ReadDir implements [filesys.FileSystem].
func (f *filesystem) ReadDir(name string) ([]string, error) {
	entries, err := f.tree.list(relative(name))
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, err
}

// The rest of [filesys.FileSystem] is of no use to a build.

func (f *filesystem) Create(string) (filesys.File, error)  { return nil, errors.ErrUnsupported }
func (f *filesystem) Open(string) (filesys.File, error)    { return nil, errors.ErrUnsupported }
func (f *filesystem) Mkdir(string) error                   { return errors.ErrUnsupported }
func (f *filesystem) MkdirAll(string) error                { return errors.ErrUnsupported }
func (f *filesystem) RemoveAll(string) error               { return errors.ErrUnsupported }
func (f *filesystem) Glob(string) ([]string, error)        { return nil, errors.ErrUnsupported }
func (f *filesystem) WriteFile(string, []byte) error       { return errors.ErrUnsupported }
func (f *filesystem) Walk(string, filepath.WalkFunc) error { return errors.ErrUnsupported }
