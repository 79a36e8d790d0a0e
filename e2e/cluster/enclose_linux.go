package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// order is what the half of a cluster that is in namespaces is told at first on its standard input.
type order struct {
	Dir       string
	Temporary bool // remove Dir at the end
	Name      string
	Network   network
	Programs  map[string]string
}

// message is what that half says on its standard output, one at a time.
type message struct {
	Report string `json:",omitempty"`
	Info   *Info  `json:",omitempty"` // the cluster is ready
	Error  string `json:",omitempty"` // it could not be started, or a part of it died
}

// enclosure is this half's view of the other.
type enclosure struct {
	name  string // of the network link here, and of the cgroup
	cmd   *exec.Cmd
	stdin io.Closer
	ready chan Info
	died  chan error
	ended chan struct{}
}

// enclose runs the whole cluster with a real node in network, mount and process namespaces of its own, by
// running this program again there. When the first process in them ends, for whatever reason, the kernel ends
// the others, and takes away their mounts, interfaces and packet filter rules.
func enclose(ctx context.Context, s site) (*Cluster, error) {
	if lines := Missing(Real); len(lines) > 0 {
		return nil, fmt.Errorf("checking for a real node, try cluster prepare --node=real: missing\n  %s", strings.Join(lines, "\n  "))
	}
	if err := visible(s.dir); err != nil {
		return nil, err
	}
	n, err := freeNetwork()
	if err != nil {
		return nil, err
	}
	e, in, err := startEnclosure(s)
	if err != nil {
		return nil, err
	}
	info, err := e.begin(ctx, in, order{Dir: s.dir, Temporary: s.temporary, Name: e.name, Network: n, Programs: s.programs})
	if err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return &Cluster{Info: info, died: e.died, stop: e.stop}, nil
}

// visible refuses folders that the namespaces hide.
func visible(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("reading folder: %w", err)
	}
	for _, h := range hidden {
		if strings.HasPrefix(real+"/", h+"/") {
			return fmt.Errorf("using folder %s: a real node hides %s from its programs; choose another by --dir or TMPDIR", dir, h)
		}
	}
	return nil
}

// startEnclosure makes the namespaces. The first process in them waits for its order on the writer.
func startEnclosure(s site) (*enclosure, io.Writer, error) {
	log, err := os.Create(filepath.Join(s.dir, "inside.log"))
	if err != nil {
		return nil, nil, fmt.Errorf("making log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", "inside")
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true, // a Ctrl-C is handled by this half
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("making namespaces: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("making namespaces: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("making namespaces: %w", err)
	}
	e := &enclosure{
		name:  fmt.Sprintf("belay-%06x", rand.IntN(1<<24)),
		cmd:   cmd,
		stdin: in,
		ready: make(chan Info, 1),
		died:  make(chan error, 1),
		ended: make(chan struct{}),
	}
	go e.listen(out, log.Name(), s.report)
	return e, in, nil
}

// listen passes on what the other half says, until it ends.
func (e *enclosure) listen(out io.Reader, log string, report func(string)) {
	defer close(e.ended)
	decoder := json.NewDecoder(out)
	for {
		var m message
		if decoder.Decode(&m) != nil {
			break
		}
		switch {
		case m.Info != nil:
			e.ready <- *m.Info
		case m.Error != "":
			e.fail(errors.New(m.Error))
		default:
			report(m.Report)
		}
	}
	err := e.cmd.Wait()
	e.fail(fmt.Errorf("running in namespaces: it ended, %w; the end of %s:\n%s", errors.Join(err, io.EOF), log, lastLines(log, 15)))
}

// fail keeps the first error, which is the cause of the others.
func (e *enclosure) fail(err error) {
	select {
	case e.died <- err:
	default:
	}
}

// begin connects the namespaces, gives the order, and waits until the cluster in them is ready.
func (e *enclosure) begin(ctx context.Context, in io.Writer, o order) (Info, error) {
	if err := o.Network.connect(ctx, e.name, e.cmd.Process.Pid); err != nil {
		return Info{}, err
	}
	if err := json.NewEncoder(in).Encode(o); err != nil {
		return Info{}, fmt.Errorf("ordering cluster: %w", err)
	}
	select {
	case info := <-e.ready:
		return info, nil
	case err := <-e.died:
		return Info{}, err
	case <-ctx.Done():
		return Info{}, context.Cause(ctx)
	}
}

// stop tells the other half to end, by the end of its input, and removes what does not end with it.
func (e *enclosure) stop() error {
	e.stdin.Close()
	select {
	case <-e.ended:
	case <-time.After(20 * time.Second):
		e.cmd.Process.Kill()
		<-e.ended
	}
	disconnect(e.name)
	return removeCgroup(e.name)
}
