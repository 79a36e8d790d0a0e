package sync

import (
	"slices"
	"testing"

	"github.com/belay-gitops/belay/manifests"
)

func TestAReleaseWithTheNumberOfALostOneIsWritten(t *testing.T) {
	a := kept(t)
	a.records = nil // people have said to go on without it
	a.pushGood()
	a.refuse["Apply"] = fault{reason: "ClusterUnavailable", temporary: true}
	a.poll()
	if a.records[0].Number != 1 || a.result() != manifests.Applying {
		t.Fatalf("release %d is %s", a.records[0].Number, a.result())
	}
	clear(a.refuse)
	a.until("v2", manifests.Kept)
	for _, object := range liveV2 {
		if !slices.Contains(a.inLive(), object) {
			t.Errorf("%s is not there; there are %q", object, a.inLive())
		}
	}
}
