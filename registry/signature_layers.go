package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
)

// What cosign marks signatures with.
const (
	simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
	bundleType        = "application/vnd.dev.sigstore.bundle.v0.3+json"
	emptyType         = "application/vnd.oci.empty.v1+json"
)

// maxSignatures is how many signatures of one form are looked at.
const maxSignatures = 64

// descriptor is what is read of one: struct fields, not a map, so that a registry cannot make it big.
type descriptor struct {
	MediaType    string `json:"mediaType"`
	ArtifactType string `json:"artifactType"`
	Digest       string `json:"digest"`
	Annotations  struct {
		Signature string  `json:"dev.cosignproject.cosign/signature"`
		Predicate *string `json:"dev.sigstore.bundle.predicateType"`
	} `json:"annotations"`
}

// newest is a JSON array of descriptors, of which the last maxSignatures are kept that are wanted; the rest is counted
// only. Cosign, and the registries that keep an order, append.
type newest struct {
	wanted func(descriptor) bool
	kept   []descriptor // the newest first
	all    int
	more   bool // were wanted than are kept
}

// UnmarshalJSON reads the array element by element, since four megabytes of {} would be hundreds in memory.
func (n *newest) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('[') {
		return errors.New("not an array")
	}
	for decoder.More() {
		var each descriptor
		if err := decoder.Decode(&each); err != nil {
			return err
		}
		n.all++
		if !n.wanted(each) {
			continue
		}
		if n.kept = append(n.kept, each); len(n.kept) > maxSignatures {
			n.kept, n.more = n.kept[1:], true
		}
	}
	slices.Reverse(n.kept)
	return nil
}

// simpleSigningLayers are the signatures in the manifest that the tag sha256-….sig stands for.
func simpleSigningLayers(manifest []byte) (newest, *Error) {
	var image struct {
		Layers newest `json:"layers"`
	}
	image.Layers.wanted = func(d descriptor) bool { return d.MediaType == simpleSigningType }
	if json.Unmarshal(manifest, &image) != nil {
		return newest{}, spoiled("the tag of its signatures is not an image")
	}
	if len(image.Layers.kept) == 0 {
		return newest{}, spoiled("the tag of its signatures has no layer of the type " + simpleSigningType)
	}
	return image.Layers, nil
}

// signatureOf reads the signature that a layer bears.
func signatureOf(layer descriptor) ([]byte, *Error) {
	signature, err := base64.StdEncoding.DecodeString(layer.Annotations.Signature)
	if err != nil || len(signature) == 0 {
		return nil, spoiled("its annotation dev.cosignproject.cosign/signature is missing or not base64")
	}
	return signature, nil
}

// bundleManifests are those manifests that may hold a signature, in the index of what refers to an image.
//
// A registry that does not know artifact types tells the type of the configuration instead, which is empty. Not every
// registry passes the annotations on.
func bundleManifests(index []byte) (newest, *Error) {
	var referrers struct {
		Manifests newest `json:"manifests"`
	}
	referrers.Manifests.wanted = func(d descriptor) bool {
		artifact := d.ArtifactType == bundleType || d.ArtifactType == emptyType || d.ArtifactType == ""
		predicate := d.Annotations.Predicate
		return artifact && (predicate == nil || *predicate == signPredicate)
	}
	if json.Unmarshal(index, &referrers) != nil {
		return newest{}, spoiled("the list of what refers to it is not an index")
	}
	return referrers.Manifests, nil
}

// bundleOf finds the digest of the bundle in a manifest that refers to an image; it is empty where there is none, which
// is no fault: other things refer to images, too.
func bundleOf(manifest []byte) (string, *Error) {
	var image struct {
		Layers newest `json:"layers"`
	}
	image.Layers.wanted = func(d descriptor) bool { return d.MediaType == bundleType }
	if json.Unmarshal(manifest, &image) != nil {
		return "", spoiled("what refers to it is not a manifest")
	}
	if image.Layers.all != 1 || len(image.Layers.kept) != 1 {
		return "", nil
	}
	return image.Layers.kept[0].Digest, nil
}
