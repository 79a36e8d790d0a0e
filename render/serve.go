package render

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"runtime/metrics"

	"github.com/belay-gitops/belay/manifests"
)

// Serve is what the child of a [Process] runs: it builds the trees that the parent asks for, one after the other, and
// returns when the parent closes the pipe. Stdin and stdout are the pipes to the parent. The memory limit that it sets,
// and the end that it puts to the default HTTP client, stay for the rest of the process.
func Serve(stdin io.Reader, stdout io.Writer) error {
	http.DefaultTransport = offline{}
	parent := newPipe(stdin, stdout)
	for limited := false; ; limited = true {
		var j job
		body, err := parent.receive(&j)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the job: %w", err)
		}
		if !limited {
			if err := limitMemory(j.Memory); err != nil {
				return fmt.Errorf("limiting memory: %w", err)
			}
		}
		if err := serve(parent, j, body); err != nil {
			return err
		}
	}
}

// How much the heap may grow over what is in use before garbage is collected, in percent. A child that did small builds
// has some 5 MiB in use.
const (
	relaxedGC = 300
	carefulGC = 100
)

// serve does one job. Nothing of it is kept: what kustomize keeps in variables, [run] puts back.
func serve(parent *pipe, j job, body []byte) error {
	debug.SetGCPercent(relaxedGC)
	tree := newRemoteTree(parent, j, body)
	err := build(tree, j.Dir, j.Limits, teller{parent})
	if tree.err != nil {
		return tree.err
	}
	var r result
	if err != nil {
		var ok bool
		if r.Err, ok = errors.AsType[*Error](err); !ok {
			return err
		}
	}
	r.Held = held()
	if err := parent.send(message{Result: &r}); err != nil {
		return err
	}
	if err := parent.flush(); err != nil {
		return err
	}
	if tree.big() { // the child may rest now, and the parent need the memory
		*tree = remoteTree{}
		debug.FreeOSMemory()
	}
	return nil
}

// teller is a sink that tells the parent.
type teller struct{ parent *pipe }

func (t teller) object(o manifests.Object, text []byte, at place) error {
	return t.parent.send(message{Object: o.File, Line: at.line}, text)
}

func (t teller) parsed(file string, given int) error {
	return t.parent.send(message{Parsed: file, Told: given})
}

// held is how much memory this process has from the kernel, in bytes, as far as the Go runtime knows.
func held() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// offline is a second lock: references are checked before kustomize follows them.
type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("rendering fetches nothing")
}
