package render

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/belay-gitops/belay/manifests"
)

// child is a started [Process].
type child struct {
	command *exec.Cmd
	stdin   io.Closer
	pipe    *pipe
	stderr  tail

	jobs  int   // that it came to a result with
	held  int64 // bytes of memory, after the last of them
	ended bool
	how   error // it ended
}

func (p Process) start() (*child, error) {
	if len(p.Command) == 0 {
		return nil, errors.New("no command")
	}
	c := &child{command: exec.Command(p.Command[0], p.Command[1:]...)}
	c.command.Env = []string{} // nil would be ours
	c.command.Stderr = &c.stderr
	c.command.WaitDelay = time.Second
	stdin, err := c.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.stdin, c.pipe = stdin, newPipe(stdout, stdin)
	return c, c.command.Start()
}

// do gives the child a job and answers its questions until there is a result: the objects are the host's then, or wrong
// says why there are none. An error means that there is no result, and that the child is of no more use.
func (c *child) do(h *host, j job) (wrong, err error) {
	j, parts := h.job(j)
	if err := c.say(j, parts); err != nil {
		return nil, err
	}
	for {
		var m message
		body, err := c.pipe.receive(&m)
		switch {
		case err != nil:
		case m.Result != nil:
			return c.done(h, wrong, *m.Result), nil
		case m.Op != "":
			a, parts := h.answer(m)
			err = c.say(a, parts)
		case wrong != nil:
		case m.Parsed != "":
			h.made.parsed(m.Parsed, m.Told)
		default:
			var o manifests.Object
			o, wrong = decode(m.Object, body)
			h.made.object(o, len(body), m.Line)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (c *child) done(h *host, wrong error, r result) error {
	c.jobs++
	c.held = r.Held
	if r.Err != nil {
		r.Err.err = h.errs[r.Err.File]
		return r.Err
	}
	return wrong
}

func (c *child) say(header any, parts [][]byte) error {
	if err := c.pipe.send(header, parts...); err != nil {
		return err
	}
	return c.pipe.flush()
}

func decode(file string, text []byte) (manifests.Object, error) {
	var content map[string]any
	if err := utiljson.Unmarshal(text, &content); err != nil {
		return manifests.Object{}, fmt.Errorf("reading an object of %s: %w", file, err)
	}
	return manifests.NewObject(&unstructured.Unstructured{Object: content}, file)
}

func (c *child) kill() { _ = c.command.Process.Kill() } // it may have ended by itself

// end waits until the child is gone, which it is soon after its stdin is closed.
func (c *child) end() {
	if c.ended {
		return
	}
	c.ended = true
	c.stdin.Close()
	late := time.AfterFunc(time.Second, c.kill)
	c.how = c.command.Wait()
	late.Stop()
}

// died tells why a child ended without a result. What it wrote to stderr may quote the tree, and is only searched. Only
// its own limit of memory is a fault of the tree for sure.
func (c *child) died(dir string, memory int64) error {
	if outOfMemory.Match(c.stderr.text) {
		return fail(OutOfMemory, dir, "rendering took more than the %d MiB of memory it may have", memory>>20)
	}
	if exit, ok := errors.AsType[*exec.ExitError](c.how); ok && exit.ExitCode() == -1 { // by the kernel: we did not
		return fail(Killed, dir, "the renderer was killed; the node or the agent's Pod may be short of memory")
	}
	return fail(Crashed, dir, "the renderer stopped without a result")
}

// outOfMemory is how the Go runtime ends when the kernel refuses it memory. Its garbage collector may crash instead of
// saying so; a nil pointer of kustomize's is a panic, and recovered.
var outOfMemory = regexp.MustCompile(`(?m)out of memory|cannot allocate|failed to (reserve|create new OS thread)|newosproc|^SIGSEGV|^fatal error: unexpected signal`)

// tail keeps the end of what is written to it: kustomize's warnings come first, the runtime's last words last.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	const enough = 256 << 10
	t.text = append(t.text, p...)
	if excess := len(t.text) - enough; excess > 0 {
		t.text = append(t.text[:0], t.text[excess:]...)
	}
	return len(p), nil
}
