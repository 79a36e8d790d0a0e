package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// play is a Sync of an application of which one release after the other is deployed, while agents die.
type play struct {
	*script
	start    func(user string) *victim
	leader   *victim
	agents   int
	random   *rand.Rand
	digest   string
	n        int   // the newest release
	deployed int   // the one that runs
	from     int64 // where in the audit log the newest began
}

// newPlay deploys the first release, by an agent with these arguments.
func newPlay(t *testing.T, name string, args ...string) *play {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := startSimulated(t)
	s, err := newScript(c, name, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cleanup)
	p := &play{script: s, digest: s.image(t), random: rand.New(rand.NewPCG(seed, 0)), n: 1, deployed: 1}
	p.start = func(user string) *victim { return newVictim(t, c, user, args...) }
	p.release(t, 1, true)
	kubectl(t, c, fmt.Sprintf(killedSync, s.repository, "0s")+"  rollback: {keep: 2}\n", "apply", "--namespace="+name, "-f", "-")
	p.leader = p.agent()
	p.settled(t, 1, true)
	p.checkWhole(t, release{1, true}, p.digest)
	return p
}

// agent starts the next agent.
func (p *play) agent() *victim {
	p.agents++
	return p.start(fmt.Sprintf("agent-%d", p.agents))
}

// rehearse deploys a release that nobody disturbs, and answers the points that were passed.
func (p *play) rehearse(t *testing.T, good bool) []string {
	t.Helper()
	p.push(t, good, func(string) string { return "go" })
	p.settled(t, p.n, good)
	points := p.leader.points()
	if len(points) < 20 {
		t.Fatalf("a release passes these points only: %q", points)
	}
	p.check(t, good)
	return points
}

// push pushes the next release and has belay look, to whom answer says what happens at each point.
func (p *play) push(t *testing.T, good bool, answer func(point string) string) {
	t.Helper()
	var err error
	if _, p.from, err = p.audit(p.from); err != nil {
		t.Fatal(err)
	}
	p.n++
	own := fmt.Sprintf("only-%d", p.n)
	p.leader.arm(func(point string) string {
		point = strings.ReplaceAll(point, own, "only-new")
		point = strings.ReplaceAll(point, fmt.Sprintf("belay.app.%d.", p.n), "belay.app.new.")
		return numbered.ReplaceAllString(point, "$1-old")
	}, answer)
	p.release(t, p.n, good)
	p.api.ask(t, "PATCH", "/apis/belay.dev/v1alpha1/namespaces/"+p.namespace+"/syncs/app", "application/merge-patch+json",
		fmt.Sprintf(`{"metadata":{"annotations":{"belay.dev/sync-at":"%d"}}}`, p.n), &object{})
}

// numbered is what points name by a release's number.
var numbered = regexp.MustCompile(`(only|belay\.app|release)[-.=]\d+`)

// bring pushes a release and holds the leader at a point of it. It answers false if that point was not passed this
// time.
func (p *play) bring(t *testing.T, point string, good bool) bool {
	t.Helper()
	p.push(t, good, func(passed string) string {
		if passed == point {
			return "hold"
		}
		return "go"
	})
	return p.held(t, good)
}

// held waits until the leader is held at a point, or the release has settled without that.
func (p *play) held(t *testing.T, good bool) bool {
	t.Helper()
	await(t, "the agent to be at the point, or to be done", func() bool {
		return p.leader.isHeld() || p.leader.isQuiet() && p.hasSettled(t, good)
	})
	return p.leader.isHeld()
}

// check asks the oracle about the newest release.
func (p *play) check(t *testing.T, good bool) {
	t.Helper()
	events, _, err := p.audit(p.from)
	if err != nil {
		t.Fatal(err)
	}
	p.checkOrder(t, events, release{p.n, good}, p.deployed)
	if good {
		p.deployed = p.n
	}
	p.checkWhole(t, release{p.deployed, true}, p.digest)
}

// checkSilence looks for writes of a user, of the lease too.
func (p *play) checkSilence(t *testing.T, from int64, user string) {
	t.Helper()
	events, _, err := p.audit(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.ImpersonatedUser.Username == user && e.ResponseStatus.Code < 300 && !strings.Contains(e.RequestURI, "dryRun=All") {
			t.Errorf("%s went on: %s %s", user, e.Verb, e.RequestURI)
		}
	}
}

// each does a thing at each point, and asks the oracle each time. A point that did not come to pass is told: how often
// the status is written depends on what the controllers are doing meanwhile.
func (p *play) each(t *testing.T, what string, good bool, points []string, do func(t *testing.T, point string)) {
	t.Helper()
	tried, whole, passed := 0, 0, 0
	for _, point := range points {
		t.Run(what+", "+point, func(t *testing.T) {
			tried++
			before := p.leader
			do(t, point)
			p.check(t, good)
			if !t.Failed() {
				whole++
			}
			if p.leader != before {
				passed++
			}
		})
	}
	t.Logf("%s: %d/%d whole, %d of the points came to pass", what, whole, tried, passed)
	if passed < tried*3/4 {
		t.Errorf("%s: only %d of %d points came to pass", what, passed, tried)
	}
}

// third is a third of the points, another each time; all of them with E2E_CHAOS=full.
func (p *play) third(points []string) []string {
	if os.Getenv("E2E_CHAOS") == "full" {
		return points
	}
	var some []string
	for i := p.random.IntN(3); i < len(points); i += 3 {
		some = append(some, points[i])
	}
	return some
}
