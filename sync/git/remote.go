package git

import (
	"context"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// A remote is the other side of a conversation, for any number of goroutines. Its
// errors are [Error]s.
type remote interface {
	// refs returns what the remote has under these full names. A name that it
	// does not have is left out, and the others may be where the first is there.
	refs(ctx context.Context, names ...string) (map[string]ref, error)

	// isEmpty tells whether the remote has no branch at all. It is asked only
	// where no ref was found, since the answer can be long.
	isEmpty(ctx context.Context) (bool, error)

	// fetch returns a self-contained pack of what is reachable from want and
	// not from haves. A remote that serves no single commit sends all its
	// branches and tags, want among them or not.
	fetch(ctx context.Context, want plumbing.Hash, haves []plumbing.Hash) (io.ReadCloser, error)
}

// A ref is one line of what a remote has.
type ref struct {
	hash   plumbing.Hash
	peeled plumbing.Hash // what an annotated tag points at; else zero
}

// commit is the hash that the ref means to a reader.
func (r ref) commit() plumbing.Hash {
	if !r.peeled.IsZero() {
		return r.peeled
	}
	return r.hash
}
