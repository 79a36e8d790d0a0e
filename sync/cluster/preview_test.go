package cluster

import (
	"testing"

	"github.com/belay-gitops/belay/manifests"
)

func TestAJobThatHasRunIsNotMissed(t *testing.T) {
	job := func(name string, spec map[string]any) map[string]any {
		return map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": name}, "spec": spec}
	}
	objects := set(t, job("stays", map[string]any{}), job("passes", map[string]any{"ttlSecondsAfterFinished": int64(0)}),
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings"}})
	id := func(name string) manifests.ID { return manifests.ID{Group: "batch", Kind: "Job", Name: name} }
	runs := manifests.Release{Number: 2, Objects: objects}
	for _, test := range []struct {
		name    string
		release manifests.Release
		id      manifests.ID
		want    bool
	}{
		{"if it takes itself away and its release runs", runs, id("passes"), true},
		{"unless another release is asked about", manifests.Release{Number: 1, Objects: objects}, id("passes"), false},
		{"but also there if a release before has run it", manifests.Release{Number: 3, Objects: objects, Done: []manifests.ID{id("passes")}}, id("passes"), true},
		{"unless it was to stay", runs, id("stays"), false},
		{"and anything else is missed", runs, manifests.ID{Kind: "ConfigMap", Name: "settings"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := hasRun(test.release, runs, test.id); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
