package registry

import (
	"encoding/json"
	"strconv"
	"strings"
)

// bundle checks a signature of the form that cosign has written since version 3: an in-toto statement in a DSSE
// envelope in a Sigstore bundle. Statements that are no signatures, such as attestations, are left aside, whoever made
// them. What else a bundle holds, certificates and log entries, does not count.
//
// https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md,
// https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
func (c claim) bundle(text []byte) (PublicKey, *Error) {
	var bundle struct {
		MediaType string `json:"mediaType"`
		Envelope  *struct {
			Payload     []byte `json:"payload"`
			PayloadType string `json:"payloadType"`
			Signatures  []struct {
				Signature []byte `json:"sig"`
			} `json:"signatures"`
		} `json:"dsseEnvelope"`
	}
	if json.Unmarshal(text, &bundle) != nil || bundle.MediaType != bundleType {
		return PublicKey{}, spoiled("the bundle is not of the type " + bundleType)
	}
	envelope := bundle.Envelope
	if envelope == nil || envelope.PayloadType != statementType {
		return PublicKey{}, spoiled("the bundle holds no envelope of the type " + statementType)
	}
	if len(envelope.Signatures) != 1 {
		return PublicKey{}, spoiled("the bundle's envelope should have one signature")
	}
	var statement statement
	if json.Unmarshal(envelope.Payload, &statement) != nil {
		return PublicKey{}, spoiled("the bundle's statement is not JSON")
	}
	if statement.PredicateType != signPredicate {
		return PublicKey{}, notSigned()
	}
	key, refusal := c.signer(preAuthenticated(envelope.PayloadType, envelope.Payload), envelope.Signatures[0].Signature)
	if refusal != nil {
		return PublicKey{}, refusal
	}
	if !strings.HasPrefix(statement.Type, "https://in-toto.io/Statement/") {
		return PublicKey{}, spoiled("what was signed is not an in-toto statement")
	}
	return key, c.subject(statement)
}

// statement is what is read of an in-toto statement.
type statement struct {
	Type    string `json:"_type"`
	Subject []struct {
		Digest struct {
			SHA256 string `json:"sha256"`
		} `json:"digest"`
	} `json:"subject"`
	PredicateType string `json:"predicateType"`
}

// subject refuses a statement about other digests.
func (c claim) subject(s statement) *Error {
	signed := ""
	for _, subject := range s.Subject {
		signed = "sha256:" + subject.Digest.SHA256
		if signed == c.digest {
			return nil
		}
	}
	return otherDigest(signed)
}

// preAuthenticated is what a DSSE signature is over: the "pre-authentication encoding".
func preAuthenticated(payloadType string, payload []byte) []byte {
	header := "DSSEv1 " + strconv.Itoa(len(payloadType)) + " " + payloadType + " " + strconv.Itoa(len(payload)) + " "
	return append([]byte(header), payload...)
}

const (
	statementType = "application/vnd.in-toto+json"
	signPredicate = "https://sigstore.dev/cosign/sign/v1"
)
