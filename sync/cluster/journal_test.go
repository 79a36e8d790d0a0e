package cluster

// FAULTS "Agent": SIGKILL at any point: a release of which only some Secrets were written, or deleted, is none.

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/types"

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

// small is a release of one Secret.
func small(t testing.TB, number int) manifests.Release {
	t.Helper()
	return manifests.Release{Number: number, Objects: set(t, map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings", "namespace": "shop"},
		"data": map[string]any{"number": strconv.Itoa(number)},
	})}
}

// TestWhatAJournalCosts counts requests: each that is not made is one for each of a thousand Syncs.
func TestWhatAJournalCosts(t *testing.T) {
	kept := manifests.Outcome{Result: manifests.Kept, Healthy: true, Pruned: true}
	journal, api := journalOn(t)
	costs := func(what string, reads int, writes ...string) {
		t.Helper()
		if api.reads != reads || !slices.Equal(api.writes, writes) {
			t.Errorf("%s costs %d reads and %v, want %d and %v", what, api.reads, api.writes, reads, writes)
		}
		api.reads, api.writes = 0, nil
	}
	loads := func(number int) {
		t.Helper()
		got, err := journal.Load(t.Context(), number)
		if err != nil || got.Objects.Digest() != small(t, number).Objects.Digest() {
			t.Fatalf("release %d: %+v, %v", number, got, err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	journal.Begin()
	must(journal.Store(t.Context(), small(t, 1)))
	loads(1)
	must(journal.Mark(t.Context(), 1, kept))
	costs("the first release of a new Sync", 0, "create belay.shop.1.0", "patch belay.shop.1.0")

	must(journal.Store(t.Context(), small(t, 2)))
	loads(2)
	loads(1)
	must(journal.Mark(t.Context(), 2, manifests.Outcome{Result: manifests.RollingBack, To: 1}))
	loads(1)
	must(journal.Mark(t.Context(), 2, manifests.Outcome{Result: manifests.RolledBack, To: 1}))
	costs("one that is rolled back", 0, "create belay.shop.2.0", "patch belay.shop.2.0", "patch belay.shop.2.0")

	must(journal.Store(t.Context(), small(t, 3)))
	must(journal.Mark(t.Context(), 3, kept))
	must(journal.Drop(t.Context(), 2))
	costs("one that has another dropped", 0, "create belay.shop.3.0", "patch belay.shop.3.0", "delete belay.shop.2.0")

	loads(1)
	costs("an earlier one", 1)

	again := journal.cluster.Journal(journal.sync, journal.owner)
	journal = again
	if _, err := journal.Records(t.Context()); err != nil {
		t.Fatal(err)
	}
	loads(3)
	loads(3)
	costs("the start of another process", 2)
	must(journal.Drop(t.Context(), 1))
	costs("to drop what another process stored", 0, "delete belay.shop.1.0")
}

func TestASyncThatOnlyLookedNewHasItsReleasesRead(t *testing.T) {
	journal, api := journalOn(t)
	if err := journal.Store(t.Context(), small(t, 1)); err != nil {
		t.Fatal(err)
	}
	api.writes = nil
	again := journal.cluster.Journal(journal.sync, journal.owner)
	again.Begin()
	var found *Error
	if err := again.Store(t.Context(), large(t, 1)); !errors.As(err, &found) || found.Reason != "ReleaseFound" || !found.Temporary {
		t.Errorf("got %v", err)
	}
	if len(api.writes) > 0 {
		t.Errorf("it has cost %v", api.writes)
	}
	if records, err := again.Records(t.Context()); err != nil || len(records) != 1 {
		t.Errorf("the records are %v, %v", records, err)
	}
}

func TestAReleaseWhoseSecretIsGoneIsMissedWhenItIsMarked(t *testing.T) {
	journal, api := journalOn(t)
	if err := journal.Store(t.Context(), small(t, 1)); err != nil {
		t.Fatal(err)
	}
	clear(api.secrets)
	if err := journal.Mark(t.Context(), 1, manifests.Outcome{Result: manifests.Kept}); err == nil {
		t.Error("it is marked")
	}
	journal.Refresh()
	journal.Expect(1)
	var lost *Error
	if _, err := journal.Records(t.Context()); !errors.As(err, &lost) || lost.Reason != "ReleaseLost" {
		t.Errorf("got %v", err)
	}
	if _, err := journal.Load(t.Context(), 1); err == nil {
		t.Error("it is read from memory")
	}
}

func TestTheShelfIsBounded(t *testing.T) {
	var s shelf
	shop := types.NamespacedName{Namespace: "shop", Name: "shop"}
	s.put(shop, 1, shelved{text: make([]byte, largestShelved+1)})
	if _, found := s.find(shop, 1); found {
		t.Error("it keeps a release that is too large")
	}
	const most = shelfSize / largestShelved
	for n := range most + 1 {
		s.put(shop, n, shelved{text: make([]byte, largestShelved)})
	}
	if _, found := s.find(shop, most); found || s.size != shelfSize {
		t.Errorf("it keeps %d bytes", s.size)
	}
	s.put(shop, 0, shelved{text: make([]byte, 10)})
	s.put(shop, most, shelved{text: make([]byte, 10)})
	s.keep(shop, most)
	if _, found := s.find(shop, most); !found || s.size != 10 {
		t.Errorf("with one left it keeps %d bytes", s.size)
	}
	if s.keep(shop); s.size != 0 || len(s.texts) > 0 {
		t.Errorf("with none left it keeps %d bytes of %d Syncs", s.size, len(s.texts))
	}
}
