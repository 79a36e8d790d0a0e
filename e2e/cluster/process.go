package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
)

// processes are the programs that one cluster runs, each with a log file. They end together.
type processes struct {
	logs     string // folder
	started  []*process
	died     chan error // the first that ended unasked
	stopping atomic.Bool
}

type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

func newProcesses(logs string) (*processes, error) {
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, fmt.Errorf("making log folder: %w", err)
	}
	return &processes{logs: logs, died: make(chan error, 1)}, nil
}

// start runs a program until stop is called. The environment is this program's and env.
func (p *processes) start(program string, env []string, args ...string) error {
	name := filepath.Base(program)
	path := filepath.Join(p.logs, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	defer log.Close()

	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	child := &process{cmd: cmd, exited: make(chan struct{})}
	p.started = append(p.started, child)
	go func() {
		err := cmd.Wait()
		close(child.exited)
		if p.stopping.Load() {
			return
		}
		if err == nil {
			err = errors.New("exit status 0")
		}
		select {
		case p.died <- fmt.Errorf("running %s: %w; the end of %s:\n%s", name, err, path, lastLines(path, 15)):
		default: // only the first to end is the cause
		}
	}()
	return nil
}

// stop kills the programs, the last started first. They get no time to put things in order, since all that they
// keep is thrown away.
func (p *processes) stop() {
	p.stopping.Store(true)
	for i := len(p.started) - 1; i >= 0; i-- {
		p.started[i].kill()
		<-p.started[i].exited
	}
}

// kill reaches the whole group that the program leads, unless it has ended: then its number may be another's.
func (c *process) kill() {
	select {
	case <-c.exited:
	default:
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // it may end just now
	}
}

// lastLines returns the last n lines of a file, indented, as much of them as can be read.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "  " + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-n):], "\n  ")
}
