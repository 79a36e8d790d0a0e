package render

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/belay-gitops/belay/manifests"
)

// Process builds in a child process, which a hostile tree can kill without harm to this one. The child has no
// environment and reads the tree through its pipe. A Process is a value that may be used concurrently; each build then
// has a child, and the memory, of its own.
type Process struct {
	Command []string      // a program and its arguments, that calls [Serve] with its stdin and stdout
	Memory  int64         // bytes that the child may use; 512 MiB if zero, and under 128 MiB little can be built
	Timeout time.Duration // after which it is killed; 30 s if zero
	Limits  Limits
}

// Build is like the function [Build]. Errors that are not an [*Error] are the context's, or say that the child cannot
// be started.
func (p Process) Build(ctx context.Context, tree fs.FS, dir string) (manifests.Set, error) {
	p.Memory = cmp.Or(p.Memory, 512<<20)
	p.Timeout = cmp.Or(p.Timeout, 30*time.Second)
	limited, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()

	c, err := p.start(limited)
	if err != nil {
		return manifests.Set{}, fmt.Errorf("starting the renderer: %w", err)
	}
	host := &host{tree: tree, errs: map[string]error{}}
	r, served := host.serve(c, job{Dir: dir, Limits: p.Limits, Memory: p.Memory})
	c.stdin.Close()
	ended := c.Wait()
	switch {
	case ctx.Err() != nil:
		return manifests.Set{}, fmt.Errorf("rendering %s: %w", dir, ctx.Err())
	case served != nil && limited.Err() != nil:
		return manifests.Set{}, fail(TimedOut, dir, "rendering took more than %s", p.Timeout)
	case served != nil:
		return manifests.Set{}, p.died(dir, ended, c.stderr.String())
	case r.Err != nil:
		r.Err.err = host.errs[r.Err.File]
		return manifests.Set{}, r.Err
	}
	return decode(r.Objects)
}

// child is a started [Process].
type child struct {
	*exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
	stderr head
}

func (p Process) start(ctx context.Context) (*child, error) {
	if len(p.Command) == 0 {
		return nil, errors.New("no command")
	}
	c := &child{Cmd: exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)}
	c.Env = []string{} // nil would be ours
	c.Stderr = &c.stderr
	c.WaitDelay = time.Second
	var err error
	if c.stdin, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	if c.stdout, err = c.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, c.Start()
}

// died tells why a child ended without a result. What it wrote to stderr may quote the tree, and is only searched. Only
// its own limit of memory is a fault of the tree for sure.
func (p Process) died(dir string, ended error, stderr string) error {
	if outOfMemory.MatchString(stderr) {
		return fail(OutOfMemory, dir, "rendering took more than the %d MiB of memory it may have", p.Memory>>20)
	}
	var exit *exec.ExitError
	if errors.As(ended, &exit) && exit.ExitCode() == -1 { // by the kernel: we did not
		return fail(Killed, dir, "the renderer was killed; the node or the agent's Pod may be short of memory")
	}
	return fail(Crashed, dir, "the renderer stopped without a result")
}

func decode(objects []rendered) (manifests.Set, error) {
	list := make([]manifests.Object, len(objects))
	for i, r := range objects {
		var content map[string]any
		if err := utiljson.Unmarshal(r.Content, &content); err != nil {
			return manifests.Set{}, fmt.Errorf("reading an object of %s: %w", r.File, err)
		}
		o, err := manifests.NewObject(&unstructured.Unstructured{Object: content}, r.File)
		if err != nil {
			return manifests.Set{}, err
		}
		list[i] = o
	}
	return manifests.NewSet(list...)
}

// host answers the child's questions.
type host struct {
	tree fs.FS
	errs map[string]error // of the tree by name, but for files that do not exist
}

func (h *host) serve(c *child, j job) (*result, error) {
	in, out := json.NewDecoder(c.stdout), json.NewEncoder(c.stdin)
	if err := out.Encode(j); err != nil {
		return nil, err
	}
	for {
		var q question
		if err := in.Decode(&q); err != nil {
			return nil, err
		}
		if q.Result != nil {
			return q.Result, nil
		}
		if err := out.Encode(h.answer(q)); err != nil {
			return nil, err
		}
	}
}

func (h *host) answer(q question) answer {
	var a answer
	var err error
	switch q.Op {
	case opStat:
		var i fs.FileInfo
		if i, err = fs.Stat(h.tree, q.Name); err == nil {
			a.Infos = []info{{i.Name(), i.Size(), i.Mode()}}
		}
	case opRead:
		a.Content, err = fs.ReadFile(h.tree, q.Name)
	case opList:
		var entries []fs.DirEntry
		entries, err = fs.ReadDir(h.tree, q.Name)
		for _, e := range entries {
			a.Infos = append(a.Infos, info{Base: e.Name(), Kind: e.Type()})
		}
	default:
		err = errors.ErrUnsupported
	}
	switch missing := told(q.Name, err); {
	case errors.Is(missing, fs.ErrNotExist):
		a.Missing = true
	case err != nil:
		h.errs[q.Name] = err
		a.Err = unreadable("", err).Detail
	}
	return a
}

// outOfMemory is how the Go runtime ends when the kernel refuses it memory. Its garbage collector may crash instead of
// saying so; a nil pointer of kustomize's is a panic, and recovered.
var outOfMemory = regexp.MustCompile(`(?m)out of memory|cannot allocate|failed to (reserve|create new OS thread)|newosproc|^SIGSEGV|^fatal error: unexpected signal`)

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	const enough = 1 << 20 // kustomize's warnings, then the runtime's last words
	h.Buffer.Write(p[:min(len(p), max(0, enough-h.Len()))])
	return len(p), nil
}
