// Promise: a good release is kept whatever happens beside it. Fault "Health": pod evicted, node drained, scaled by an autoscaler,
// slow start, one restart, API 429 and 5xx, cut connections, slow Git, leader change: no rollback.

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// noisyReleases is how many there are, unless NOISE_N says another number.
	noisyReleases = 20
	noisyNodes    = 4
	// noisyWait is longer than the timeout of a release and of a rollback together.
	noisyWait = 10 * time.Minute
)

// TestGoodReleasesUnderNoise has Syncs side by side deploy good releases while the test makes noise, and wants each to be
// kept. NOISE_N says how many, NOISE_SEED repeats a run as far as the machine lets it.
func TestGoodReleasesUnderNoise(t *testing.T) {
	t.Parallel()
	wanted, seed := number(t, "NOISE_N", noisyReleases), uint64(number(t, "NOISE_SEED", int(time.Now().UnixNano())))
	t.Logf("NOISE_SEED=%d NOISE_N=%d", seed, wanted)
	n := newNoise(t, seed)
	for i := range min(10, max(2, wanted/4)) {
		n.addSync(t, fmt.Sprintf("noise-%02d", i))
	}
	began := time.Now()
	pace := 6 * time.Second / time.Duration(len(n.syncs)) // so that each Sync has quiet seconds, whatever their number
	for n.ended() < wanted {
		n.look(t)
		for _, s := range n.syncs {
			if !s.open && n.released < wanted {
				n.release(t, s)
			}
		}
		n.make(t, pace)
		time.Sleep(100 * time.Millisecond) // the noise is paced, and nobody calls when a Sync has changed
	}
	n.report(t, time.Since(began))
}

// noise is a cluster in which there is always something going on.
type noise struct {
	target
	api    api
	random *rand.Rand
	server *unreliable // between the agent and the API server
	git    *slowGit
	agent  *noisyAgent
	image  string
	syncs  []*noisySync

	released int
	results  map[string]int // of releases, by what became of them
	took     []time.Duration

	bag  []act            // what is still to be made before it is filled again
	next time.Time        // when the next is made
	undo []undo           // what is to be taken back, and when
	made map[string]int   // by name
	vain map[string]error // the last error of each
}

func newNoise(t *testing.T, seed uint64) *noise {
	t.Helper()
	c := startSimulated(t, fmt.Sprintf("--nodes=%d", noisyNodes))
	a, err := newAPI(c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	n := &noise{target: c, api: a, random: rand.New(rand.NewPCG(seed, 0)), results: map[string]int{}, made: map[string]int{}, vain: map[string]error{}}
	n.server = newUnreliable(t, c.Kubeconfig, seed)
	n.git = newSlowGit(t, c.Git)
	behind := c
	behind.Kubeconfig = n.server.kubeconfig(t)
	n.agent = newNoisyAgent(t, behind)
	n.image = noisyImage(t, c)
	return n
}

// look asks how all the Syncs are, and notes what has become of the releases.
func (n *noise) look(t *testing.T) {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata struct{ Namespace string }
			told
		}
	}
	n.api.get(t, "/apis/belay.dev/v1alpha1/syncs", &list)
	for _, item := range list.Items {
		i := slices.IndexFunc(n.syncs, func(s *noisySync) bool { return s.namespace == item.Metadata.Namespace })
		if i < 0 {
			continue
		}
		s := n.syncs[i]
		s.regrets(t, item.told)
		if result := item.result(s.commitID); s.open && result != "" {
			s.open = false
			n.results[result]++
			n.took = append(n.took, time.Since(s.pushed))
			if result != "Kept" {
				t.Errorf("%s: release %d, a good one, was %s after %.1fs: %s", s.namespace, s.n, result, time.Since(s.pushed).Seconds(), item.reports())
			}
		}
		if s.open && time.Since(s.pushed) > noisyWait {
			t.Fatalf("%s: after %s it is not known what becomes of release %d: %s", s.namespace, noisyWait, s.n, item.reports())
		}
	}
}

func (n *noise) ended() int {
	ended := 0
	for _, count := range n.results {
		ended += count
	}
	return ended
}

// release pushes the next release of a Sync.
func (n *noise) release(t *testing.T, s *noisySync) {
	t.Helper()
	n.released++
	s.push(t, n.random)
}

// report prints what has happened, and wants each noise to have been made.
func (n *noise) report(t *testing.T, took time.Duration) {
	t.Helper()
	slices.Sort(n.took)
	t.Logf("%d releases of %d Syncs in %.0fs: %d kept, %d rolled back, %d failed; from push to kept median %.1fs, worst %.1fs",
		n.released, len(n.syncs), took.Seconds(), n.results["Kept"], n.results["RolledBack"]+n.results["RollbackFailed"], n.results["Failed"],
		n.took[len(n.took)/2].Seconds(), n.took[len(n.took)-1].Seconds())
	var made []string
	for _, a := range acts {
		if n.made[a.name] == 0 {
			t.Errorf("no noise of this kind was made: %s (last error: %v)", a.name, n.vain[a.name])
		}
		made = append(made, fmt.Sprintf("%s: %d", a.name, n.made[a.name]))
	}
	t.Logf("the noise: %s; requests of the agent answered with an error: %d, cut off: %d; the agent ended by itself: %d",
		strings.Join(made, ", "), n.server.refused(), n.server.cut(), n.agent.ended)
}
