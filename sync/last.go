package sync

import (
	"context"
	"slices"

	"github.com/belay-gitops/belay/manifests"
)

// useLast is, for the images whose registries are down, what the last release has that was good, or the one that is being
// tried for the same commit. It is no answer unless that is why each of the images could not be resolved, and each has such
// a pin. A tag that is not there, credentials that are refused and bytes that are wrong say something of the image, and
// that stands.
func (s *Syncer) useLast(ctx context.Context, why error, out *Outcome) (pinning, bool) {
	faults, down := outOfReachAll(why)
	if !down {
		return pinning{}, false
	}
	last := pinning{manifests.Pins{}, map[string]manifests.Resolution{}}
	records, err := s.records(ctx)
	if err != nil {
		return pinning{}, false // the registry is asked again anyway
	}
	releases, state := lastGood(records), StateOf(records)
	tried := s.isUnderWay(state.Newest, state)
	if tried { // it goes on, as after a restart; the registry says nothing against it
		releases = append([]manifests.Record{*state.Newest}, releases...)
	}
	for _, record := range releases {
		release, err := s.Journal.Load(ctx, record.Number)
		if err != nil {
			continue // it cannot be gone by
		}
		had := pinningOf(release, record)
		for _, fault := range faults {
			image := fault.Subject()
			good := tried && record.Number == state.Newest.Number || !isSuspect(image, had.pins[image], records)
			if pin := had.pins[image]; pin != "" && last.pins[image] == "" && good {
				last.take(image, pin, manifests.Resolution{At: had.resolved[image].At, Release: record.Number})
			}
		}
		if len(last.pins) == len(faults) {
			break
		}
	}
	for _, fault := range faults {
		if last.pins[fault.Subject()] == "" {
			return pinning{}, false
		}
	}
	s.tellLast(last, faults, out)
	return last, true
}

// tellLast says which digests were taken from earlier releases, and why.
func (s *Syncer) tellLast(last pinning, faults []imageFault, out *Outcome) {
	for _, fault := range faults {
		image := fault.Subject()
		out.Events = append(out.Events, warning("UsedLastDigest", "%s is taken from release %d, as %s: %s",
			image, last.resolved[image].Release, last.pins[image], problemOf(fault).Message))
	}
}

// lastGood is the releases whose pins may be used again, the best first: the one that a rollback goes to, the others that
// were healthy, newest first, and what runs if there was none.
func lastGood(records []manifests.Record) []manifests.Record {
	state := StateOf(records)
	var list []manifests.Record
	add := func(r *manifests.Record) {
		if r != nil && !slices.ContainsFunc(list, func(o manifests.Record) bool { return o.Number == r.Number }) {
			list = append(list, *r)
		}
	}
	add(state.Kept)
	for _, record := range slices.Backward(records) {
		if record.Outcome.WasKept() {
			add(&record)
		}
	}
	add(state.Running())
	return list
}
