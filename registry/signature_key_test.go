package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"
)

func TestPublicKeysAreRead(t *testing.T) {
	cosign, err := os.ReadFile("testdata/cosign/cosign.pub")
	if err != nil {
		t.Fatal(err)
	}
	one, other := string(cosign), publicPEM(t, newEd25519(t).Public())
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&newRSA(t).PublicKey)}))
	for name, test := range map[string]struct {
		text string
		want int
	}{
		"one":               {one, 1},
		"no last newline":   {strings.TrimSpace(one), 1},
		"CRLF":              {strings.ReplaceAll(one, "\n", "\r\n"), 1},
		"two":               {one + other, 2},
		"words around":      {"# ana\n" + one + "# ben\n\n" + other + "end\n", 2},
		"PKCS #1":           {pkcs1, 1},
		"P-384":             {publicPEM(t, newECDSA(t, elliptic.P384()).Public()), 1},
		"P-521":             {publicPEM(t, newECDSA(t, elliptic.P521()).Public()), 1},
		"as many as can be": {strings.Repeat(one, maxPublicKeys), maxPublicKeys},
	} {
		keys, err := ParsePublicKeys([]byte(test.text))
		if err != nil || len(keys) != test.want {
			t.Errorf("%s: got %d keys, %v", name, len(keys), err)
		}
	}
}

func TestWhatIsNoPublicKeyIsRefused(t *testing.T) {
	good := publicPEM(t, newEd25519(t).Public())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind, content string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
	}
	for name, test := range map[string]struct{ text, want string }{
		"nothing":          {"", "there is none"},
		"words":            {"hunter2", "there is none"},
		"private":          {good + block("ENCRYPTED SIGSTORE PRIVATE KEY", "hunter2"), "public key 2: it is a private key"},
		"certificate":      {block("CERTIFICATE", "hunter2"), "it is something else"},
		"not DER":          {block("PUBLIC KEY", "hunter2"), "not a public key"},
		"too short a key":  {publicPEM(t, small.Public()), "RSA of 2048 to 8192 bits"},
		"another curve":    {publicPEM(t, newECDSA(t, elliptic.P224()).Public()), "P-256, P-384 or P-521"},
		"cut off":          {good + "-----BEGIN PUBLIC KEY-----\nhunter2", "1 of 2 are not whole"},
		"cut off at first": {"-----BEGIN PUBLIC KEY-----\nhunter2\n" + good, "1 of 2 are not whole"},
		"too many":         {strings.Repeat(good, maxPublicKeys+1), "more than 32"},
	} {
		keys, err := ParsePublicKeys([]byte(test.text))
		if keys != nil || err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v", name, keys, err)
		}
	}
}

// Cosign 3 writes the hash of the key into its bundles.
func TestTheFingerprintIsCosigns(t *testing.T) {
	for _, key := range []string{"cosign", "p384", "p521", "ed25519", "rsa"} {
		signed := readSigning(t, "bundle-"+key)
		_, blob := signed.bundle(t)
		var bundle struct {
			VerificationMaterial struct{ PublicKey struct{ Hint string } }
		}
		if err := json.Unmarshal(signed.blobs[blob], &bundle); err != nil {
			t.Fatal(err)
		}
		want, err := base64.StdEncoding.DecodeString(bundle.VerificationMaterial.PublicKey.Hint)
		if err != nil {
			t.Fatal(err)
		}
		got := readKeys(t, key)[0]
		if got.fingerprint != hex.EncodeToString(want) || got.String() != "sha256:"+got.fingerprint[:16] {
			t.Errorf("%s: got %s, want %x", key, got, want)
		}
	}
}

func TestEachWayToSignIsKnown(t *testing.T) {
	message := []byte("message")
	digest := func(hash crypto.Hash) []byte {
		h := hash.New()
		h.Write(message)
		return h.Sum(nil)
	}
	sign := func(key crypto.Signer, opts crypto.SignerOpts) []byte {
		t.Helper()
		signed := message
		if hash := opts.HashFunc(); hash != 0 {
			signed = digest(hash)
		}
		signature, err := key.Sign(rand.Reader, signed, opts)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	p256, p384, p521 := newECDSA(t, elliptic.P256()), newECDSA(t, elliptic.P384()), newECDSA(t, elliptic.P521())
	rivest, edwards := newRSA(t), newEd25519(t)
	pss := &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthAuto}
	short := &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthEqualsHash}
	for name, test := range map[string]struct {
		key  crypto.Signer
		opts crypto.SignerOpts
		want bool
	}{
		"P-256 and SHA-256":      {p256, crypto.SHA256, true},
		"P-256 and SHA-512":      {p256, crypto.SHA512, false},
		"P-384 and SHA-384":      {p384, crypto.SHA384, true},
		"P-384 and SHA-256":      {p384, crypto.SHA256, true},
		"P-521 and SHA-512":      {p521, crypto.SHA512, true},
		"P-521 and SHA-256":      {p521, crypto.SHA256, true},
		"RSA, PKCS #1 v1.5":      {rivest, crypto.SHA256, true},
		"RSA, PSS":               {rivest, pss, true},
		"RSA, PSS, salt as hash": {rivest, short, true},
		"RSA and SHA-1":          {rivest, crypto.SHA1, false},
		"Ed25519":                {edwards, crypto.Hash(0), true},
		"Ed25519ph":              {edwards, &ed25519.Options{Hash: crypto.SHA512}, true},
		"Ed25519ph in a context": {edwards, &ed25519.Options{Hash: crypto.SHA512, Context: "x"}, false},
	} {
		keys, err := ParsePublicKeys([]byte(publicPEM(t, test.key.Public())))
		if err != nil {
			t.Fatal(err)
		}
		signature := sign(test.key, test.opts)
		if got := keys[0].verifies(message, signature); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
		for what, changed := range map[string][2][]byte{
			"another message": {[]byte("massage"), signature},
			"cut off":         {message, signature[:len(signature)-1]},
			"longer":          {message, append(signature[:len(signature):len(signature)], 0)},
			"nothing":         {message, nil},
			"the digest":      {digest(crypto.SHA256), signature},
		} {
			if keys[0].verifies(changed[0], changed[1]) {
				t.Errorf("%s: %s is taken", name, what)
			}
		}
	}
}

func TestAnEmptyKeySignsNothing(t *testing.T) {
	if (PublicKey{}).verifies(nil, nil) || (PublicKey{}).String() != "sha256:" {
		t.Error("the zero key is one")
	}
}

func newECDSA(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEd25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	seed := sha256.Sum256([]byte(t.Name()))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicPEM(t *testing.T, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
