package sync

import "time"

// sighting is how a Sync came to know that its ref is at a commit.
type sighting struct {
	seen   time.Time // when any Sync of this process learned that the ref has come to the commit
	before time.Time // when this Sync had looked at the remote the time before; zero if it never had
	begun  time.Time // when the look began that found the commit
}

// attempt is the first try of an input.
type attempt struct {
	now time.Time
	// again says that the commit was tried before, that the spec is another, or that people ask for another try or for
	// what the tags are now.
	again bool
	// followed is how old answers may be that Follow goes by, where the commit is the newest release's and only the
	// process is new; else 0.
	followed time.Duration
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// since is how old registries' answers may be for a release: what one has said after it, to whichever Sync, counts.
//
// An answer that a registry gave after the commit was seen is later than whatever was pushed before the commit. So a
// thousand Syncs that see one commit share what they ask, and each has the images that were there when it was pushed.
// That holds if the ref came to the commit for the first time, which it did if nobody had seen it when this Sync looked
// the time before. A ref that moved back to a commit that was known already may have moved after other images were
// pushed, and so only the present look tells.
//
// Whoever changes the spec, or asks for another try or for what the tags are now, means what there is at that moment.
// The moment is that of the first try: if it came to be later with each retry, no retry would profit from the answers
// that the one before has got.
func (s sighting) since(a attempt) time.Time {
	switch {
	case a.again:
		return a.now
	case a.followed > 0:
		return a.now.Add(-a.followed)
	case s.seen.After(s.before):
		return s.seen
	}
	return s.begun
}
