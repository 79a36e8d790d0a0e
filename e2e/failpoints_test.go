// FAULTS, Apply: two agents; FAULTS, Rollback: killed in the middle of a rollback; FAULTS, Agent: SIGKILL at any point, SIGTERM, SIGSTOP for 60 s, then CONT.
// SIGKILL at any point; SIGTERM; SIGSTOP for 60 s, then CONT; killed in the middle of a rollback; panic in one pass.

package e2e

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTheShippedProgramHasNoFailpoints looks for their one word.
func TestTheShippedProgramHasNoFailpoints(t *testing.T) {
	t.Parallel()
	for program, has := range map[string]bool{belayProgram(t): false, must(t, failpointBuilt): true} {
		text, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("BELAY_FAILPOINTS")) != has {
			t.Errorf("%s: it has failpoints: %t", program, !has)
		}
	}
}

// TestKilledAtEachPoint kills the agent before and after each write of a good release and of a bad one, and twice at
// those of a rollback: once more at the first point that the recovering agent comes to.
func TestKilledAtEachPoint(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "points", "--leader-elect=false")
	for _, scenario := range []struct {
		name  string
		good  bool
		twice bool
	}{
		{aRelease(true), true, false},
		{aRelease(false), false, false},
		{"a rollback, twice", false, true},
	} {
		points := p.rehearse(t, scenario.good)
		if scenario.twice {
			points = points[slices.Index(points, "before PATCH secrets/belay.app.new.0 #1"):]
		}
		p.each(t, "SIGKILL in "+scenario.name, scenario.good, points, func(t *testing.T, point string) {
			if !p.bring(t, point, scenario.good) {
				return
			}
			p.leader.kill()
			p.leader = p.agent()
			if scenario.twice {
				p.leader.arm(strings.Clone, func(string) string { return "hold" })
				p.held(t, scenario.good)
				p.leader.kill()
				p.leader = p.agent()
			}
			p.settled(t, p.n, scenario.good)
		})
	}
}

// TestEndedAtAPoint sends SIGTERM at a third of the points. The agent ends well and gives the lease back, so that its
// successor need not wait for the end of it.
func TestEndedAtAPoint(t *testing.T) {
	t.Parallel()
	const lease = 30 * time.Second
	p := newPlay(t, "ended", "--agent-namespace=default", "--lease-duration="+lease.String())
	for _, good := range []bool{true, false} {
		p.each(t, "SIGTERM in "+aRelease(good), good, p.third(p.rehearse(t, good)), func(t *testing.T, point string) {
			if !p.bring(t, point, good) {
				return
			}
			p.leader.signal(t, syscall.SIGTERM)
			p.leader.letGo()
			if err := p.leader.end(t, 10*time.Second); err != nil {
				t.Errorf("it did not end well: %v", err)
			}
			ended := time.Now()
			p.leader = p.agent()
			p.settled(t, p.n, good)
			if took := time.Since(ended); took >= lease {
				t.Errorf("the next agent had settled the release after %s only", took)
			}
		})
	}
}

// TestStoppedAtAPoint stops the agent at a third of the points until another has the lease and has done its work, and
// for two leases at least. What goes on then writes nothing, and ends.
func TestStoppedAtAPoint(t *testing.T) {
	t.Parallel()
	const lease = 4 * time.Second
	p := newPlay(t, "stopped", "--agent-namespace=default", "--lease-duration="+lease.String())
	for _, good := range []bool{true, false} {
		p.each(t, "SIGSTOP in "+aRelease(good), good, p.third(p.rehearse(t, good)), func(t *testing.T, point string) {
			if !p.bring(t, point, good) {
				return
			}
			stopped := p.leader
			await(t, "the answers to what is on its way", stopped.isQuiet)
			stopped.signal(t, syscall.SIGSTOP)
			over := time.After(2 * lease)
			p.leader = p.agent()
			p.settled(t, p.n, good)
			<-over // this long is what the fault is
			_, from, err := p.audit(0)
			if err != nil {
				t.Fatal(err)
			}
			stopped.letGo()
			stopped.signal(t, syscall.SIGCONT)
			if err := stopped.end(t, soon); err == nil {
				t.Error("the agent that lost its lease ended as if all were well")
			}
			p.checkSilence(t, from, stopped.user)
		})
	}
}

func aRelease(good bool) string {
	if good {
		return "a good release"
	}
	return "a bad release"
}
