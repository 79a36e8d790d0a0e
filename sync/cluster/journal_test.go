package cluster

// FAULTS "Agent": SIGKILL at any point: a release of which only some Secrets were written, or deleted, is none.

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/belay-gitops/belay/manifests"
)

// large is a release of three Secrets.
func large(t testing.TB, seed uint64) manifests.Release {
	t.Helper()
	noise := rand.New(rand.NewPCG(seed, seed))
	text := make([]byte, 5*chunkSize/2)
	for i := range text {
		text[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[noise.IntN(64)]
	}
	return manifests.Release{Number: 1, Objects: set(t, map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "big", "namespace": "shop"},
		"data": map[string]any{"text": string(text)},
	})}
}

func TestWhatAKilledAgentLeftOfAReleaseIsNoPartOfTheNextOne(t *testing.T) {
	before, api := journalOn(t)
	if err := before.Store(t.Context(), large(t, 1)); err != nil {
		t.Fatal(err)
	}
	stored := api.all()
	if len(stored) != 3 {
		t.Fatalf("it is %d Secrets", len(stored))
	}
	small := large(t, 2)
	small.Objects = set(t, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "small", "namespace": "shop"}})
	for name, release := range map[string]manifests.Release{"as large": large(t, 2), "smaller": small} {
		for left, indexes := range map[string][]int{"begun": {0}, "begun to be deleted": {1}, "begun twice": {0, 1}} {
			t.Run(name+", "+left, func(t *testing.T) {
				journal, api := journalOn(t)
				for _, i := range indexes {
					api.secrets[stored[i].GetName()] = stored[i].DeepCopy()
				}
				if err := journal.Store(t.Context(), release); err != nil {
					t.Fatal(err)
				}
				got, err := journal.Load(t.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				if got.Objects.Digest() != release.Objects.Digest() {
					t.Error("it is another one")
				}
			})
		}
	}
}

func TestADroppedReleaseStopsCountingFirst(t *testing.T) {
	journal, api := journalOn(t)
	if err := journal.Store(t.Context(), large(t, 1)); err != nil {
		t.Fatal(err)
	}
	api.writes = nil
	if err := journal.Drop(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if want := []string{"delete belay.shop.1.2", "delete belay.shop.1.0", "delete belay.shop.1.1"}; !slices.Equal(api.writes, want) {
		t.Errorf("deleted: %v", api.writes)
	}
}
