package sync

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// An object that was put back so often within the window, and differs again, is left alone from then on: somebody else
// rewrites it, and to go on would only be load.
const (
	correctionsAllowed = 5
	fightingWindow     = time.Minute
)

// fights remembers what is put back again and again. The zero value is peace.
type fights struct {
	corrected map[manifests.ID][]time.Time // when, within the window
	lost      map[manifests.ID]string      // given up, and who holds what
	until     time.Time                    // when to look again whether it is over
	endedBy   string                       // the request to try again that ended the last one
}

// note notes that objects were written.
func (f *fights) note(ids []manifests.ID, now time.Time) {
	if f.corrected == nil {
		f.corrected = map[manifests.ID][]time.Time{}
	}
	for _, id := range ids {
		f.corrected[id] = append(f.corrected[id], now)
	}
	for id, times := range f.corrected {
		if f.corrected[id] = recent(times, now); len(f.corrected[id]) == 0 {
			delete(f.corrected, id)
		}
	}
}

// recent is the times within the window.
func recent(times []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return now.Sub(t) > fightingWindow })
}

// peaceful is objects, which all differ from the cluster, without those that are fought for.
func (f *fights) peaceful(objects []manifests.Object, contended map[manifests.ID]string, now time.Time) []manifests.Object {
	lost := map[manifests.ID]string{}
	for _, o := range objects {
		id := o.ID()
		who, already := f.lost[id]
		if already || len(recent(f.corrected[id], now)) >= correctionsAllowed {
			lost[id] = cmp.Or(contended[id], who)
		}
	}
	if f.lost = lost; len(lost) > 0 {
		f.until = now.Add(fightingWindow)
	}
	return without(objects, slices.Collect(maps.Keys(lost)))
}

// pausing tells that it is not yet time to look again.
func (f *fights) pausing(now time.Time) bool { return len(f.lost) > 0 && now.Before(f.until) }

// problem is what people have to settle; nil in peace.
func (f *fights) problem(name, namespace string) error {
	if len(f.lost) == 0 {
		return nil
	}
	ids := slices.SortedFunc(maps.Keys(f.lost), manifests.ID.Compare)
	who := cmp.Or(f.lost[ids[0]], "another writer")
	return refusal{"DriftFight", fmt.Sprintf("%s changed again and again (%s), more than %d times a minute: belay has stopped putting it back. "+
		"Take the field out of Git (or name it in spec.apply.ignore), or stop the other; then: belay sync %s -n %s --retry",
		manifests.Names(ids, 3), who, correctionsAllowed, name, namespace)}
}
