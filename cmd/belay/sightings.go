package main

import (
	gosync "sync"
	"time"
)

// sightings tell since when this process has known a commit of a repository. What registries have said to any Sync since
// then is later than the commit, and good enough for all others of it: a hundred Syncs of one repository ask once.
type sightings struct {
	mu   gosync.Mutex
	seen map[sighting]time.Time
}

type sighting struct{ url, commit string }

// sightingFor is how long a sighting counts: a tag that moves later than that without a commit is not to be missed by a
// Sync that is made, or comes to the commit, hours afterwards.
const sightingFor = 10 * time.Minute

// first is when a commit was seen first, but not longer ago than [sightingFor]. Now is when the remote has just named it.
func (s *sightings) first(url, commit string, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, at := range s.seen {
		if now.Sub(at) > sightingFor {
			delete(s.seen, key)
		}
	}
	key := sighting{url, commit}
	at, known := s.seen[key]
	if !known {
		if s.seen == nil {
			s.seen = map[sighting]time.Time{}
		}
		s.seen[key], at = now, now
	}
	return at
}
