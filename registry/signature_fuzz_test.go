package registry

import (
	"os"
	"testing"
)

// Whatever is read as a key can be told from others, and signs nothing by chance.
func FuzzParsePublicKeys(f *testing.F) {
	for _, name := range []string{"cosign", "rsa", "ed25519"} {
		text, err := os.ReadFile("testdata/cosign/" + name + ".pub")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ParsePublicKeys(text)
		if (err == nil) != (len(keys) > 0) || len(keys) > maxPublicKeys {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, key := range keys {
			if len(key.fingerprint) != 64 || key.verifies(text, text) {
				t.Fatalf("%s is no key", key)
			}
		}
	})
}

// No text makes a parser panic or keep too much, or is taken for signed by a key that has signed nothing of it.
func FuzzSignatures(f *testing.F) {
	signed := readSigning(f, "bundle-cosign")
	for _, name := range []string{"bundle-cosign", "classic-cosign", "attested"} {
		for _, parts := range []map[string][]byte{readSigning(f, name).manifests, readSigning(f, name).blobs} {
			for _, text := range parts {
				f.Add(text)
			}
		}
	}
	// No key that has signed any of it.
	claim := claim{signed.digest, readKeys(f, "other")}
	f.Fuzz(func(t *testing.T, text []byte) {
		if layers, refusal := simpleSigningLayers(text); refusal == nil {
			if len(layers.kept) == 0 || len(layers.kept) > maxSignatures {
				t.Fatalf("%d layers", len(layers.kept))
			}
			for _, layer := range layers.kept {
				if signature, refusal := signatureOf(layer); refusal == nil && len(signature) == 0 {
					t.Fatal("an empty signature")
				}
			}
		}
		if manifests, refusal := bundleManifests(text); refusal == nil && len(manifests.kept) > maxSignatures {
			t.Fatalf("%d manifests", len(manifests.kept))
		}
		bundleOf(text)
		if _, refusal := claim.simpleSigning(text, text); refusal == nil {
			t.Fatal("it is its own signature")
		}
		if _, refusal := claim.bundle(text); refusal == nil {
			t.Fatal("it is taken for signed")
		}
	})
}
