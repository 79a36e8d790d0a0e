package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	gosync "sync"
	"syscall"
	"testing"
	"time"
)

// victim is an agent that can be held at a failpoint: see sync/cluster/failpoint.go. It has a user of its own, by which
// the audit log tells it from others.
type victim struct {
	*exec.Cmd
	user  string
	ended chan struct{} // closed when the process has ended, with err
	err   error

	mu     gosync.Mutex
	passed []string // the points since arm, each with its how manieth
	counts map[string]int
	sent   int // requests that have no answer yet
	name   func(point string) string
	answer func(point string) string // "hold", "panic" or "go"
	held   bool                      // one point is held, and all others from then on
	resume chan struct{}             // closed to let go of them
}

// newVictim starts an agent, of which nothing is wanted yet.
func newVictim(t *testing.T, c target, user string, args ...string) *victim {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "points")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	args = append(args, "--as="+user, "--as-group=system:masters")
	v := &victim{Cmd: agentCommand(t, c, must(t, failpointBuilt), args...), user: user, ended: make(chan struct{})}
	v.resume = make(chan struct{})
	v.Env = append(v.Environ(), "BELAY_FAILPOINTS="+socket)
	v.arm(strings.Clone, func(string) string { return "go" })
	launch(t, v.Cmd)
	go func() {
		v.err = v.Wait()
		close(v.ended)
	}()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go v.attend(connection)
		}
	}()
	t.Cleanup(v.kill)
	return v
}

// arm says what is to happen at each point that is passed from now on. Points are named by name.
func (v *victim) arm(name, answer func(point string) string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.free()
	v.passed, v.counts, v.name, v.answer = nil, map[string]int{}, name, answer
}

// attend answers the process at one point.
func (v *victim) attend(connection net.Conn) {
	defer connection.Close()
	point, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return
	}
	answer, resume := v.pass(strings.TrimSpace(point))
	if answer == "hold" {
		<-resume
		answer = "go"
	}
	fmt.Fprintln(connection, answer)
}

func (v *victim) pass(point string) (answer string, resume chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	after := strings.HasPrefix(point, "after ")
	if after {
		v.sent--
	}
	point = v.name(point)
	v.counts[point]++
	point = fmt.Sprintf("%s #%d", point, v.counts[point])
	v.passed = append(v.passed, point)
	if v.held {
		return "hold", v.resume
	}
	answer = v.answer(point)
	if answer == "hold" {
		v.held = true
	} else if !after {
		v.sent++
	}
	return answer, v.resume
}

// points are those passed since arm.
func (v *victim) points() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.passed...)
}

func (v *victim) isHeld() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.held
}

// isQuiet tells that nothing of the victim's is on its way.
func (v *victim) isQuiet() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sent == 0
}

// letGo lets the victim go on, without a further stop.
func (v *victim) letGo() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.free()
	v.answer = func(string) string { return "go" }
}

func (v *victim) free() {
	close(v.resume)
	v.resume, v.held = make(chan struct{}), false
}

// kill ends the process, which may have ended by itself.
func (v *victim) kill() {
	v.Process.Kill() //nolint:errcheck // see above
	<-v.ended
}

func (v *victim) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := v.Process.Signal(signal); err != nil {
		t.Fatalf("%s to %s: %v", signal, v.user, err)
	}
}

// end waits until the process has ended by itself, and answers with what error.
func (v *victim) end(t *testing.T, within time.Duration) error {
	t.Helper()
	select {
	case <-v.ended:
		return v.err
	case <-time.After(within):
		t.Fatalf("%s did not end within %s", v.user, within)
		return nil
	}
}
