package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
	"github.com/belay-gitops/belay/sync/git"
)

// source is a Sync's repository, opened when it is first needed and again when the spec points elsewhere or the
// credentials are refused: a Secret that was mended counts at the next try.
type source struct {
	cluster   *cluster.Cluster
	namespace string
	allowHTTP bool
	cacheDir  string
	sightings *sightings // of all Syncs
	spec      v1alpha1.Source

	looked     time.Time       // when the last look at the remote began that had an answer
	opened     v1alpha1.Source // what repository was opened for
	repository *git.Repository
}

// Head implements [sync.Source].
func (s *source) Head(ctx context.Context) (string, time.Time, error) {
	if err := s.open(ctx); err != nil {
		return "", time.Time{}, err
	}
	begun := time.Now()
	head, err := s.repository.Head(ctx)
	if err != nil {
		return "", time.Time{}, s.checked(err)
	}
	s.looked = begun
	return head, s.sightings.first(followed{s.spec.URL, s.spec.Ref}, head, time.Now()), nil
}

// Commit implements [sync.Source].
func (s *source) Commit(ctx context.Context, hash string) (manifests.Commit, error) {
	if err := s.open(ctx); err != nil {
		return manifests.Commit{}, err
	}
	commit, err := s.repository.Commit(ctx, hash)
	return manifests.Commit{Hash: commit.Hash, Author: commit.Author, Subject: commit.Subject}, s.checked(err)
}

// Tree implements [sync.Source].
func (s *source) Tree(ctx context.Context, hash string) (fs.FS, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	tree, err := s.repository.Tree(ctx, hash)
	return tree, s.checked(err)
}

func (s *source) open(ctx context.Context) error {
	if s.repository != nil && sameSource(s.spec, s.opened) {
		return nil
	}
	s.repository = nil
	auth, err := s.auth(ctx)
	if err != nil {
		return err
	}
	repository, err := git.Open(git.Options{
		URL:       s.spec.URL,
		Ref:       git.Ref(s.spec.Ref),
		Auth:      auth,
		AllowHTTP: s.allowHTTP,
		CacheDir:  s.cacheDir,
		UserAgent: userAgent(),
	})
	if err != nil {
		return err
	}
	s.repository, s.opened = repository, *s.spec.DeepCopy()
	return nil
}

func sameSource(a, b v1alpha1.Source) bool {
	secret := func(s v1alpha1.Source) string {
		if s.SecretRef == nil {
			return ""
		}
		return s.SecretRef.Name
	}
	return a.URL == b.URL && a.Ref == b.Ref && secret(a) == secret(b)
}

func (s *source) auth(ctx context.Context) (git.Auth, error) {
	if s.spec.SecretRef == nil {
		return git.Auth{}, nil
	}
	data, err := s.cluster.Secret(ctx, types.NamespacedName{Namespace: s.namespace, Name: s.spec.SecretRef.Name})
	if err != nil {
		return git.Auth{}, err
	}
	return git.Auth{Username: data["username"], Password: data["password"], BearerToken: data["bearerToken"]}, nil
}

// checked drops the repository, and with it the credentials, when they were refused. Many hosts say "not found" of what
// a credential may not see.
func (s *source) checked(err error) error {
	var e *git.Error
	if errors.As(err, &e) {
		switch e.Reason {
		case git.AuthenticationFailed, git.PermissionDenied, git.RepositoryNotFound:
			s.repository = nil
		}
	}
	return err
}

// remove deletes what was fetched.
func (s *source) remove() {
	s.repository = nil
	_ = os.RemoveAll(s.cacheDir) // a cache that stays takes room, no more
}
