package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/belay-gitops/belay/manifests"
)

// Serve is what the child of a [Process] runs: it builds the one tree that the parent asks for, and returns. Stdin and
// stdout are the pipes to the parent. The memory limit that it sets, and the end that it puts to the default HTTP
// client, stay for the rest of the process.
func Serve(stdin io.Reader, stdout io.Writer) error {
	parent := &remoteTree{in: json.NewDecoder(stdin), out: json.NewEncoder(stdout)}
	var j job
	if err := parent.in.Decode(&j); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	if err := limitMemory(j.Memory); err != nil {
		return fmt.Errorf("limiting memory: %w", err)
	}
	http.DefaultTransport = offline{}

	set, err := Build(parent, j.Dir, j.Limits)
	if parent.err != nil {
		return parent.err
	}
	r := result{}
	if err == nil {
		r.Objects, err = encode(set)
	}
	if err != nil {
		var ok bool
		if r.Err, ok = errors.AsType[*Error](err); !ok {
			return err
		}
	}
	return parent.out.Encode(question{Result: &r})
}

func encode(set manifests.Set) ([]rendered, error) {
	objects := make([]rendered, 0, set.Len())
	for _, o := range set.Objects() {
		text, err := json.Marshal(o.Unstructured().Object)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", o, err)
		}
		objects = append(objects, rendered{File: o.File, Content: text})
	}
	return objects, nil
}

// offline is a second lock: references are checked before kustomize follows them.
type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("rendering fetches nothing")
}

// remoteTree asks the parent for what is read, when it is read: a repository may be big. It is for one goroutine.
type remoteTree struct {
	in  *json.Decoder
	out *json.Encoder
	err error // of the pipes
}

func (t *remoteTree) ask(op operation, name string) (answer, error) {
	var a answer
	if t.err == nil {
		t.err = t.out.Encode(question{Op: op, Name: name})
	}
	if t.err == nil {
		t.err = t.in.Decode(&a)
	}
	switch {
	case t.err != nil:
		return a, t.err
	case a.Missing:
		return a, &fs.PathError{Op: string(op), Path: name, Err: fs.ErrNotExist}
	case a.Err != "":
		return a, &fs.PathError{Op: string(op), Path: name, Err: errors.New(a.Err)}
	}
	return a, nil
}

// ReadFile implements [fs.ReadFileFS].
func (t *remoteTree) ReadFile(name string) ([]byte, error) {
	a, err := t.ask(opRead, name)
	return a.Content, err
}

// Stat implements [fs.StatFS].
func (t *remoteTree) Stat(name string) (fs.FileInfo, error) {
	a, err := t.ask(opStat, name)
	if err != nil {
		return nil, err
	}
	return a.Infos[0], nil
}

// ReadDir implements [fs.ReadDirFS].
func (t *remoteTree) ReadDir(name string) ([]fs.DirEntry, error) {
	a, err := t.ask(opList, name)
	entries := make([]fs.DirEntry, len(a.Infos))
	for i, info := range a.Infos {
		entries[i] = info
	}
	return entries, err
}

// Open makes remoteTree an [fs.FS]; a build uses the others.
func (t *remoteTree) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
}
