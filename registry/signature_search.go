package registry

import (
	"context"
	"errors"
	"strings"
)

// signatureStore is the repository in which signatures are looked for. What is not there is an [*Error] of the reason
// [NotFound].
type signatureStore interface {
	// manifest fetches what a tag or a digest stands for, not yet compared with the digest.
	manifest(ctx context.Context, identifier string) ([]byte, error)
	// blob fetches what a digest stands for.
	blob(ctx context.Context, digest string) ([]byte, error)
	// referrers fetches an index of those manifests of a type that refer to a digest. More says that it goes on.
	referrers(ctx context.Context, digest, artifactType string) (index []byte, more bool, err error)
}

// search looks for one good signature, and keeps why the others are none.
type search struct {
	claim
	signatureStore
	refusals []*Error
}

func (s *search) run(ctx context.Context) (PublicKey, error) {
	for _, look := range []func(context.Context) (*PublicKey, error){s.tagged, s.referring} {
		key, err := look(ctx)
		if err != nil {
			return PublicKey{}, err
		}
		if key != nil {
			return *key, nil
		}
	}
	return PublicKey{}, worst(append(s.refusals, notSigned()))
}

// refuse keeps a refusal that is about one signature, and returns what is not.
func (s *search) refuse(err error) error {
	refusal := (*Error)(nil)
	if errors.As(err, &refusal) && refusal.Reason.ofSignatures() {
		s.refusals = append(s.refusals, refusal)
		return nil
	}
	return err
}

// tagged looks under the tag that cosign makes of the digest.
func (s *search) tagged(ctx context.Context) (*PublicKey, error) {
	manifest, err := s.manifest(ctx, tagOf(s.digest)+".sig")
	if failed(err, NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	layers, refusal := simpleSigningLayers(manifest)
	if refusal != nil {
		return nil, s.refuse(refusal)
	}
	return s.first(ctx, layers, s.layer)
}

// layer checks a layer of the image under that tag.
func (s *search) layer(ctx context.Context, layer descriptor) (PublicKey, error) {
	signature, refusal := signatureOf(layer)
	if refusal != nil {
		return PublicKey{}, refusal
	}
	payload, err := s.fetch(ctx, layer.Digest, s.blob)
	if err != nil {
		return PublicKey{}, err
	}
	key, refusal := s.simpleSigning(payload, signature)
	return key, orNil(refusal)
}

// referring looks among what refers to the image.
func (s *search) referring(ctx context.Context) (*PublicKey, error) {
	index, more, err := s.referrers(ctx, s.digest, bundleType)
	if failed(err, NotFound) {
		// Where the registry does not know what refers to what, clients keep an index under a tag.
		// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
		index, err = s.manifest(ctx, tagOf(s.digest))
	}
	if failed(err, NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	manifests, refusal := bundleManifests(index)
	if refusal != nil {
		return nil, s.refuse(refusal)
	}
	manifests.more = manifests.more || more
	return s.first(ctx, manifests, s.referrer)
}

// referrer checks what a manifest that refers to the image holds.
func (s *search) referrer(ctx context.Context, referrer descriptor) (PublicKey, error) {
	manifest, err := s.fetch(ctx, referrer.Digest, s.manifest)
	if err != nil {
		return PublicKey{}, err
	}
	layer, refusal := bundleOf(manifest)
	switch {
	case refusal != nil:
		return PublicKey{}, refusal
	case layer == "":
		return PublicKey{}, notSigned()
	}
	text, err := s.fetch(ctx, layer, s.blob)
	if err != nil {
		return PublicKey{}, err
	}
	key, refusal := s.bundle(text)
	return key, orNil(refusal)
}

// first returns the first key that check finds, or nil.
func (s *search) first(ctx context.Context, candidates newest, check func(context.Context, descriptor) (PublicKey, error)) (*PublicKey, error) {
	for _, candidate := range candidates.kept {
		key, err := check(ctx, candidate)
		if err == nil {
			return &key, nil
		}
		if err := s.refuse(err); err != nil {
			return nil, err
		}
	}
	if candidates.more {
		return nil, s.refuse(s.tooMany())
	}
	return nil, nil
}

// fetch gets what a signature names, and sees to it that it is that. What the registry does not have, or has in
// a form that cannot be taken, spoils this signature and no other.
func (s *search) fetch(ctx context.Context, digest string, from func(context.Context, string) ([]byte, error)) ([]byte, error) {
	if !sha256Digest.MatchString(digest) {
		return nil, spoiled("it has no digest of SHA-256")
	}
	content, err := from(ctx, digest)
	switch {
	case failed(err, NotFound):
		return nil, spoiled("the registry does not have " + digest + ", a part of it")
	case failed(err, DigestMismatch):
		return nil, spoiled("what the registry sends for " + digest + ", a part of it, is something else")
	case failed(err, TooLarge):
		return nil, spoiled(digest + ", a part of it, is larger than 4 MiB")
	case err != nil:
		return nil, err
	case digestOf(content) != digest:
		return nil, spoiled("what the registry sends for " + digest + ", a part of it, is something else")
	}
	return content, nil
}

func tagOf(digest string) string { return strings.Replace(digest, ":", "-", 1) }

func failed(err error, reason Reason) bool {
	e := (*Error)(nil)
	return errors.As(err, &e) && e.Reason == reason
}

// orNil keeps a nil *Error from becoming an error that is not nil.
func orNil(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}
