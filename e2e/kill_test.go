// FAULTS, Agent: SIGKILL at any point.
// SIGKILL at any point: afterwards every object is of one release, none extra, none missing.

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestKilledAgentLeavesOneRelease kills the agent with SIGKILL at random moments: before a pushed release is first
// seen, while it is written, judged, or rolled back, and one time in three again while the next agent recovers. In the
// end every object is of one release: none extra, none missing. CHAOS_N says how often, CHAOS_SEED repeats a run.
func TestKilledAgentLeavesOneRelease(t *testing.T) {
	t.Parallel()
	kills, seed := number(t, "CHAOS_N", 40), uint64(number(t, "CHAOS_SEED", int(time.Now().UnixNano())))
	random := rand.New(rand.NewPCG(seed, 0))
	survived, tried := 0, 0
	// The first cleanup is the last to run: after the logs of the agents, if they are shown.
	t.Cleanup(func() { t.Logf("CHAOS_SEED=%d survived/tried: %d/%d", seed, survived, tried) })

	c := startSimulated(t)
	s, err := newScript(c, "killed", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cleanup)
	k := &chaos{script: s, random: random, digest: s.image(t), deployed: 1}
	k.agent = func() *exec.Cmd { return newAgent(t, c, "--leader-elect=false") } // which does not wait for a killed one's lease
	s.release(t, 1, true)
	kubectl(t, c, fmt.Sprintf(killedSync, s.repository, "1s"), "apply", "--namespace=killed", "-f", "-")
	k.running = k.agent()
	s.settled(t, 1, true)

	for n := 2; tried < kills; n++ {
		tried++
		if t.Run(fmt.Sprintf("%d", tried), func(t *testing.T) { k.kill(t, n) }) {
			survived++
		} else if !t.Run(fmt.Sprintf("%d-mended", tried), func(t *testing.T) { n++; k.mend(t, n) }) {
			return // nothing can be learnt of a cluster that a good release does not put right
		}
	}
}

// number reads an environment variable.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// chaos is a Sync whose agent is killed now and then.
type chaos struct {
	*script
	agent    func() *exec.Cmd // starts one
	running  *exec.Cmd
	random   *rand.Rand
	digest   string
	deployed int
}

// kill pushes release n, kills the agent on the way, and asks the oracle.
func (k *chaos) kill(t *testing.T, n int) {
	good, twice, early := k.random.IntN(2) == 0, k.random.IntN(3) == 0, k.random.IntN(2) == 0
	first, second := k.moment(900), k.moment(2000)
	if early {
		first = k.moment(3500)
	}
	_, from, err := k.audit(0)
	if err != nil {
		t.Fatal(err)
	}
	k.release(t, n, good)
	if !early {
		k.written(t, from)
	}
	time.Sleep(first)
	k.replace(t)
	if twice {
		time.Sleep(second)
		k.replace(t)
	}
	k.settled(t, n, good)
	r := release{n, good}
	events, _, err := k.audit(from)
	if err != nil {
		t.Fatal(err)
	}
	k.checkOrder(t, events, r, k.deployed)
	if good {
		k.deployed = n
	}
	k.checkWhole(t, release{k.deployed, true}, k.digest)
	if t.Failed() {
		t.Logf("release %d, good: %t, killed %s after it was pushed (%t) or first written, and again: %t, %s after that", n, good, first, early, twice, second)
	}
}

// moment is a time of at most so many milliseconds.
func (k *chaos) moment(most int) time.Duration {
	return time.Duration(k.random.IntN(most)) * time.Millisecond
}

// replace kills the agent and starts another.
func (k *chaos) replace(t *testing.T) {
	t.Helper()
	if err := k.running.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	k.running.Wait() //nolint:errcheck // it was killed
	k.running = k.agent()
}

// mend deploys a good release undisturbed after a failure.
func (k *chaos) mend(t *testing.T, n int) {
	k.release(t, n, true)
	k.settled(t, n, true)
	k.deployed = n
	k.checkWhole(t, release{n, true}, k.digest)
}

// written waits until belay has written an application's object after a position in the audit log.
func (s *script) written(t *testing.T, from int64) {
	t.Helper()
	await(t, "the first write", func() bool {
		events, _, err := s.audit(from)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(events, func(e auditEvent) bool { return e.isWrite() && e.ObjectRef.Namespace == s.namespace })
	})
}

// await polls a condition of the world outside, which calls nobody.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	awaitWithin(t, soon, 20*time.Millisecond, what, condition)
}

// awaitWithin polls a condition that takes longer than others, or costs more to look at.
func awaitWithin(t *testing.T, most, every time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(most); !condition(); time.Sleep(every) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s in vain", most, what)
		}
	}
}
