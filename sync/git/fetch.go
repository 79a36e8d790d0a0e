package git

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"
)

// fetch adds a commit, and what of its history is missing, to the store. It is
// for one goroutine at a time.
func (r *Repository) fetch(ctx context.Context, commit plumbing.Hash) error {
	haves, err := r.shelf.haves()
	if err != nil {
		return err
	}
	if err := r.transfer(ctx, commit, haves); err != nil {
		return err
	}
	return r.shelf.with(func(store *store) error {
		if !store.has(commit) {
			if len(haves) > 0 {
				return store.corrupt("commit %s is missing though the remote sent what was asked for", commit)
			}
			return retry(CommitNotFound, "no branch or tag of the remote has commit %s, and it serves no other", commit)
		}
		if _, err := store.commit(commit); err != nil {
			return err
		}
		if err := store.SetReference(plumbing.NewHashReference(tipRef, commit)); err != nil {
			return diskError(err)
		}
		return nil
	})
}

// transfer brings a pack from the remote into the store.
func (r *Repository) transfer(ctx context.Context, commit plumbing.Hash, haves []plumbing.Hash) error {
	ctx, patience := newPatience(ctx, r.limits.Timeout)
	defer patience.end()
	pack, err := r.remote.fetch(ctx, commit, haves)
	if err != nil {
		return patience.told(err)
	}
	defer pack.Close()
	return patience.told(r.shelf.add(patience.of(pack)))
}
