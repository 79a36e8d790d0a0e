// FAULTS, Agent: panic in one pass.
// Panic in one pass: recovered, and that Sync is tried again.

package e2e

import (
	"fmt"
	"strings"
	gosync "sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAPanicEndsOnePass has passes of one Sync panic: while an object is written, beside others, until another Sync has
// been deployed; then after its release was stored and after it was judged. It is deployed in the end, by the same
// process.
func TestAPanicEndsOnePass(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "panics", "--leader-elect=false")
	beside, err := newScript(p.target, "beside-a-panic", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(beside.cleanup)
	digest := beside.image(t)
	beside.release(t, 1, true)

	var mu gosync.Mutex
	deployed, panics := false, map[string]bool{}
	p.push(t, true, func(point string) string {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case strings.HasPrefix(point, "before PATCH configmaps/only-new") && !deployed:
		case strings.HasPrefix(point, "after ") && strings.Contains(point, "belay.app.new.0 #1"):
		default:
			return "go"
		}
		panics[strings.TrimRight(point, "#0123456789")] = true
		return "panic"
	})
	panicked := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(panics)
	}
	await(t, "the first panic in writing an object", func() bool { return panicked() == 2 })
	kubectl(t, p.target, fmt.Sprintf(killedSync, beside.repository, "0s"), "apply", "--namespace="+beside.namespace, "-f", "-")
	beside.settled(t, 1, true)
	beside.checkWhole(t, release{1, true}, digest)

	mu.Lock()
	deployed = true
	mu.Unlock()
	p.settled(t, p.n, true)
	p.check(t, true)
	mu.Lock()
	defer mu.Unlock()
	want := map[string]bool{
		"after POST secrets/belay.app.new.0 ":  true,
		"before PATCH configmaps/only-new ":    true,
		"after PATCH secrets/belay.app.new.0 ": true,
	}
	if diff := cmp.Diff(want, panics); diff != "" {
		t.Errorf("it panicked elsewhere (-want +got):\n%s", diff)
	}
	select {
	case <-p.leader.ended:
		t.Errorf("the agent has ended: %v", p.leader.err)
	default:
	}
}
