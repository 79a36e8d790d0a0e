package git

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"
)

// fetch adds a commit, and what of its history is missing, to the store.
func (r *Repository) fetch(ctx context.Context, commit plumbing.Hash) error {
	haves := r.store.haves()
	if err := r.transfer(ctx, commit, haves); err != nil {
		return err
	}
	if !r.store.has(commit) {
		if len(haves) > 0 {
			return r.store.corrupt("commit %s is missing though the remote sent what was asked for", commit)
		}
		return retry(CommitNotFound, "no branch or tag of the remote has commit %s, and it serves no other", commit)
	}
	if _, err := r.store.commit(commit); err != nil {
		return err
	}
	if err := r.store.SetReference(plumbing.NewHashReference(tipRef, commit)); err != nil {
		return diskError(err)
	}
	return r.reopen()
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
	return patience.told(r.store.add(patience.of(pack), r.cacheDir))
}

// reopen drops go-git's cache of decoded objects, which would grow to 96 MiB
// over the commits.
func (r *Repository) reopen() error {
	if r.cacheDir == "" {
		return nil
	}
	s, err := openStore(r.cacheDir, r.url.String(), r.limits)
	if err != nil {
		return err
	}
	r.store = s
	return nil
}
