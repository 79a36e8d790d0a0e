package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// maxSearch bounds how long signatures are looked for, all requests together.
const maxSearch = 2 * time.Minute

// Verify refuses an image, written with its digest, that none of keys has signed with cosign: "cosign sign --key" of
// version 1 and 2, which leaves signatures under the tag sha256-….sig, and of version 3, which leaves Sigstore bundles
// that refer to the image. It needs nothing but the registry and the keys: certificates, transparency logs and time
// stamps do not count, and neither do the name that the image had when it was signed, nor attestations.
//
// One good signature is enough. Of the others, at most 64 of each form are looked at. That a digest is signed by a key
// is remembered, whatever the repository; that it is not, never.
//
// The error is an [*Error], of a reason of its own for each thing that can be wrong with signatures. One that the
// registry makes while they are looked for is the registry's, and never taken for a missing signature. If ctx ends first,
// the error is its cause.
func (r *Resolver) Verify(ctx context.Context, query Query, keys []PublicKey) error {
	ref, refusal := parse(query.Image)
	if refusal != nil {
		return refusal
	}
	digest, ok := ref.Reference.(name.Digest)
	if !ok {
		return explain(ref, &Error{Reason: InvalidReference, Detail: "it has no digest, and only a digest is signed"})
	}
	if len(keys) == 0 {
		return explain(ref, &Error{Reason: SignedByOtherKeys, Detail: "there is no public key that it could be signed by"})
	}
	claim := claim{digest.DigestStr(), keys}
	for _, key := range keys {
		if _, known := r.signed.get(claim.by(key)); known {
			return nil
		}
	}
	_, err := r.signed.do(ctx, digest.Name()+claim.byAny(), remembered, func() (struct{}, error) {
		return struct{}{}, r.findSignature(ctx, claim, question{ref, query.Credentials})
	})
	if ctx.Err() != nil {
		return fmt.Errorf("looking for signatures: %w", context.Cause(ctx))
	}
	if err != nil {
		return explainSearch(ref, err)
	}
	return nil
}

// findSignature looks for a signature in the repository, and remembers whose it is.
func (r *Resolver) findSignature(ctx context.Context, claim claim, q question) error {
	bounded, cancel := context.WithTimeout(ctx, maxSearch)
	defer cancel()
	store := &signatureRepository{pass: r.newPass(ctx), question: q}
	key, err := (&search{claim: claim, signatureStore: store}).run(bounded)
	if failed(err, NotSigned) && store.doubt != nil {
		return store.doubt
	}
	if err != nil {
		return err
	}
	_, err = r.signed.do(ctx, claim.by(key), remembered, func() (struct{}, error) { return struct{}{}, nil })
	return err
}

func remembered(struct{}) bool { return true }

// by is what to remember a good signature by a key as.
func (c claim) by(key PublicKey) string { return c.digest + " by " + key.fingerprint }

// byAny is what to remember, for one repository, as that there is a signature by one of the keys. Who wants the same takes
// part in one search; not who wants it of another registry, which may not answer.
func (c claim) byAny() string {
	var fingerprints []string
	for _, key := range c.keys {
		fingerprints = append(fingerprints, key.fingerprint)
	}
	slices.Sort(fingerprints)
	return " by any of " + strings.Join(fingerprints, " ")
}

// explainSearch makes the error of ref, and says what was done when a registry did not answer.
func explainSearch(ref reference, err error) *Error {
	e := explain(ref, err)
	if !e.Reason.ofSignatures() {
		e.Detail = "looking for its signatures: " + e.Detail
	}
	return e
}
