package registry

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Why an image that must be signed is refused. What a registry answers otherwise, while signatures are looked for, is
// told as ever.
const (
	NotSigned           Reason = "NotSigned"           // there is no signature
	SignedByOtherKeys   Reason = "SignedByOtherKeys"   // none of the signatures is by one of the keys
	SignedOtherDigest   Reason = "SignedOtherDigest"   // the signature by the right key says another digest
	SignatureUnreadable Reason = "SignatureUnreadable" // what should be a signature is none
	TooManySignatures   Reason = "TooManySignatures"   // not all were looked at
)

// rank orders the reasons: where the signatures of an image are refused for several, the last one is told, which is
// the nearest to a good signature.
var rank = []Reason{NotSigned, SignatureUnreadable, SignedByOtherKeys, SignedOtherDigest, TooManySignatures}

// ofSignatures tells what is wrong with signatures from what keeps them from being looked at.
func (r Reason) ofSignatures() bool { return slices.Contains(rank, r) }

// worst is the refusal to tell.
func worst(refusals []*Error) *Error {
	return slices.MaxFunc(refusals, func(a, b *Error) int {
		return slices.Index(rank, a.Reason) - slices.Index(rank, b.Reason)
	})
}

// claim is what has to be found signed: a digest, by one of the keys.
type claim struct {
	digest string // sha256:…
	keys   []PublicKey
}

// signer finds the key that a signature is by.
func (c claim) signer(message, signature []byte) (PublicKey, *Error) {
	i := slices.IndexFunc(c.keys, func(key PublicKey) bool { return key.verifies(message, signature) })
	if i < 0 {
		return PublicKey{}, c.byOthers()
	}
	return c.keys[i], nil
}

// simpleSigning checks a signature of the form that cosign wrote up to version 2.
//
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
func (c claim) simpleSigning(payload, signature []byte) (PublicKey, *Error) {
	key, refusal := c.signer(payload, signature)
	if refusal != nil {
		return PublicKey{}, refusal
	}
	var said struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
			Type string `json:"type"`
		} `json:"critical"`
	}
	if json.Unmarshal(payload, &said) != nil {
		return PublicKey{}, spoiled("what was signed is not JSON")
	}
	if said.Critical.Type != "cosign container image signature" {
		return PublicKey{}, spoiled("what was signed is not of the type “cosign container image signature”")
	}
	if said.Critical.Image.Digest != c.digest {
		return PublicKey{}, otherDigest(said.Critical.Image.Digest)
	}
	return key, nil
}

func notSigned() *Error {
	return &Error{Reason: NotSigned, Detail: "it is not signed; sign it with cosign sign --key cosign.key and this digest"}
}

func (c claim) byOthers() *Error {
	detail := "it is signed, but not by " + c.names() + "; sign it with that key too, or add the public key of who signed it"
	return &Error{Reason: SignedByOtherKeys, Detail: detail}
}

func (c claim) tooMany() *Error {
	detail := fmt.Sprintf("it has more than %d signatures, and of those that were looked at none is by %s; remove the old ones, and sign it anew", maxSignatures, c.names())
	return &Error{Reason: TooManySignatures, Detail: detail}
}

// names are the keys as people can tell them.
func (c claim) names() string {
	var names []string
	for _, key := range c.keys {
		names = append(names, key.String())
	}
	if len(names) == 1 {
		return "the key " + names[0]
	}
	return "any of the keys " + list(names)
}

// otherDigest shows the digest that was signed if it is one: a key that counts has signed it.
func otherDigest(signed string) *Error {
	if !sha256Digest.MatchString(signed) {
		signed = "none that can be read"
	}
	return &Error{Reason: SignedOtherDigest, Detail: "its signature is for another digest, " + signed + "; sign this digest, or put the image back that was signed"}
}

func spoiled(why string) *Error {
	return &Error{Reason: SignatureUnreadable, Detail: "its signature cannot be read: " + why + "; sign it anew with cosign sign --key cosign.key and this digest"}
}
