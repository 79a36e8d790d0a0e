package main

import (
	gosync "sync"
	"time"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// sightings tell since when this process has known that a ref of a repository is at a commit. What registries have said
// to any Sync since then is later than the push, and good enough for all others of it: a hundred Syncs of one ref ask
// once. Another ref may come to the commit later, and so may this one come back to it, after images that were pushed for
// just that.
type sightings struct {
	mu   gosync.Mutex
	seen map[followed]sighting
}

// followed is where a Sync takes its commits from.
type followed struct {
	url string
	ref v1alpha1.Ref
}

type sighting struct {
	commit string
	at     time.Time
}

// sightingFor is how long a sighting counts: a tag that moves later than that without a commit is not to be missed by a
// Sync that is made, or comes to the commit, hours afterwards.
const sightingFor = 10 * time.Minute

// first is when the ref was first seen at a commit since it was at another, but not longer ago than [sightingFor]. Now is
// when the remote has just named it.
func (s *sightings) first(where followed, commit string, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, seen := range s.seen {
		if now.Sub(seen.at) > sightingFor {
			delete(s.seen, key)
		}
	}
	seen, known := s.seen[where]
	if !known || seen.commit != commit {
		if s.seen == nil {
			s.seen = map[followed]sighting{}
		}
		seen = sighting{commit, now}
		s.seen[where] = seen
	}
	return seen.at
}
