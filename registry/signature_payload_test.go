package registry

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// newClaim is a key, and the claim that it has signed someDigest.
func newClaim(t *testing.T) (ed25519.PrivateKey, claim) {
	t.Helper()
	key := newEd25519(t)
	keys, err := ParsePublicKeys([]byte(publicPEM(t, key.Public())))
	if err != nil {
		t.Fatal(err)
	}
	return key, claim{someDigest, keys}
}

func TestSimpleSigning(t *testing.T) {
	key, claim := newClaim(t)
	good := `{"critical":{"identity":{"docker-reference":"example.com/cart"},"image":{"docker-manifest-digest":"` + someDigest + `"},"type":"cosign container image signature"},"optional":{"a":1}}`
	for name, test := range map[string]struct {
		payload string
		want    Reason
		word    string
	}{
		"good":              {good, "", ""},
		"another digest":    {strings.Replace(good, "sha256:", "sha256:f", 1), SignedOtherDigest, "none that can be read"},
		"no digest":         {strings.Replace(good, "docker-manifest-digest", "x", 1), SignedOtherDigest, "none that can be read"},
		"another type":      {strings.Replace(good, "cosign container", "atomic container", 1), SignatureUnreadable, "not of the type"},
		"not JSON":          {"hunter2", SignatureUnreadable, "not JSON"},
		"a wrong structure": {`{"critical":[]}`, SignatureUnreadable, "not JSON"},
	} {
		got, refusal := claim.simpleSigning([]byte(test.payload), ed25519.Sign(key, []byte(test.payload)))
		wantVerdict(t, name, got, refusal, test.want, test.word)
	}
	got, refusal := claim.simpleSigning([]byte(good), ed25519.Sign(key, []byte("else")))
	wantVerdict(t, "else", got, refusal, SignedByOtherKeys, "but not by the key "+claim.keys[0].String())
}

func TestBundle(t *testing.T) {
	key, claim := newClaim(t)
	statement := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + strings.TrimPrefix(someDigest, "sha256:") + `"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`
	bundled := func(statement string) string {
		signature := ed25519.Sign(key, preAuthenticated(statementType, []byte(statement)))
		return fmt.Sprintf(`{"mediaType":%q,"dsseEnvelope":{"payload":%q,"payloadType":%q,"signatures":[{"sig":%q}]}}`,
			bundleType, base64.StdEncoding.EncodeToString([]byte(statement)), statementType, base64.StdEncoding.EncodeToString(signature))
	}
	good := bundled(statement)
	change := func(text, from, to string) string {
		t.Helper()
		if !strings.Contains(text, from) {
			t.Fatalf("%q is not in %s", from, text)
		}
		return strings.Replace(text, from, to, 1)
	}
	for name, test := range map[string]struct {
		text string
		want Reason
		word string
	}{
		"good":                    {good, "", ""},
		"one of two subjects":     {bundled(change(statement, `"subject":[`, `"subject":[{"digest":{"sha256":"00"}},`)), "", ""},
		"another subject":         {bundled(change(statement, `"sha256":"`, `"sha256":"f`)), SignedOtherDigest, "none that can be read"},
		"no subject":              {bundled(change(statement, `"subject"`, `"x"`)), SignedOtherDigest, ""},
		"a subject of SHA-512":    {bundled(change(statement, `"sha256":"`, `"sha512":"`)), SignedOtherDigest, ""},
		"an attestation":          {bundled(change(statement, "cosign/sign/v1", "x")), NotSigned, ""},
		"another statement":       {bundled(change(statement, "https://in-toto.io/Statement/", "x")), SignatureUnreadable, "not an in-toto statement"},
		"no statement":            {bundled("hunter2"), SignatureUnreadable, "not JSON"},
		"not JSON":                {"<html>", SignatureUnreadable, "the bundle is not of the type"},
		"another version":         {change(good, "v0.3", "v0.9"), SignatureUnreadable, "the bundle is not of the type"},
		"a message's signature":   {change(good, "dsseEnvelope", "messageSignature"), SignatureUnreadable, "no envelope"},
		"another payload type":    {change(good, "vnd.in-toto", "x"), SignatureUnreadable, "no envelope"},
		"no signature":            {change(good, `"signatures":[{`, `"signatures":[],"x":[{`), SignatureUnreadable, "one signature"},
		"two signatures":          {change(good, `"signatures":[`, `"signatures":[{"sig":"AA=="},`), SignatureUnreadable, "one signature"},
		"not base64":              {change(good, `"sig":"`, `"sig":"-`), SignatureUnreadable, ""},
		"signed without its type": {change(good, `"sig":"`, `"sig":"`+base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(statement)))+`","x":"`), SignedByOtherKeys, "but not by the key"},
	} {
		got, refusal := claim.bundle([]byte(test.text))
		if refusal != nil {
			got = PublicKey{}
		}
		wantVerdict(t, name, got, refusal, test.want, test.word)
	}
}

// The example of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md.
func TestPreAuthenticated(t *testing.T) {
	if got := string(preAuthenticated("http://example.com/HelloWorld", []byte("hello world"))); got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Errorf("got %q", got)
	}
}

func wantVerdict(t *testing.T, name string, key PublicKey, refusal *Error, want Reason, word string) {
	t.Helper()
	switch {
	case want == "" && refusal != nil:
		t.Errorf("%s: got %v", name, refusal)
	case want == "" && key.fingerprint == "":
		t.Errorf("%s: no key", name)
	case want != "" && (refusal == nil || refusal.Reason != want || !strings.Contains(refusal.Detail, word)):
		t.Errorf("%s: got %+v, want %s with %q", name, refusal, want, word)
	case refusal != nil && strings.Contains(refusal.Error(), "hunter2"):
		t.Errorf("%s: the error shows what was sent: %v", name, refusal)
	}
}

func TestTheRefusalNearestToAGoodSignatureIsTold(t *testing.T) {
	refusals := []*Error{{Reason: NotSigned}, {Reason: SignedOtherDigest}, {Reason: SignatureUnreadable}, {Reason: SignedByOtherKeys}, {Reason: TooManySignatures}}
	for _, want := range []Reason{TooManySignatures, SignedOtherDigest, SignedByOtherKeys, SignatureUnreadable, NotSigned} {
		if got := worst(refusals).Reason; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		refusals = slices.DeleteFunc(refusals, func(e *Error) bool { return e.Reason == want })
	}
}

func TestWhatMayHoldASignature(t *testing.T) {
	for text, want := range map[string]bool{
		`{"artifactType":"` + bundleType + `"}`:    true,
		`{"artifactType":"` + emptyType + `"}`:     true,
		`{}`:                                       true,
		`{"artifactType":"application/spdx+json"}`: false,
		`{"artifactType":"` + bundleType + `","annotations":{"dev.sigstore.bundle.predicateType":"` + signPredicate + `"}}`: true,
		`{"artifactType":"` + bundleType + `","annotations":{"dev.sigstore.bundle.predicateType":"https://slsa.dev"}}`:      false,
	} {
		got, refusal := bundleManifests([]byte(`{"manifests":[` + text + `]}`))
		if refusal != nil || (len(got.kept) == 1) != want {
			t.Errorf("%s: got %v, %v", text, got.kept, refusal)
		}
	}
	for _, empty := range []string{`{}`, `{"manifests":null}`, `{"manifests":[]}`} {
		if got, refusal := bundleManifests([]byte(empty)); refusal != nil || len(got.kept) != 0 {
			t.Errorf("%s: got %v, %v", empty, got.kept, refusal)
		}
	}
}

func TestABundleIsTheOnlyLayer(t *testing.T) {
	bundle := `{"mediaType":"` + bundleType + `","digest":"` + someDigest + `"}`
	for layers, want := range map[string]string{
		bundle:                                 someDigest,
		bundle + `,{"mediaType":"text/plain"}`: "",
		bundle + "," + bundle:                  "",
		`{"mediaType":"text/plain"}`:           "",
		"":                                     "",
	} {
		if got, refusal := bundleOf([]byte(`{"layers":[` + layers + `]}`)); refusal != nil || got != want {
			t.Errorf("%s: got %q, %v", layers, got, refusal)
		}
	}
}

func TestALongListTakesLittleMemory(t *testing.T) {
	text := []byte(`{"manifests":[` + strings.Repeat(`{},`, maxBody/3-10) + `{"digest":"last"}]}`)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got, refusal := bundleManifests(text)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if refusal != nil || len(got.kept) != maxSignatures || !got.more || got.kept[0].Digest != "last" {
		t.Fatalf("got %d, %v", len(got.kept), refusal)
	}
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 8<<20 {
		t.Errorf("%d bytes are held", held)
	}
	runtime.KeepAlive(text)
	runtime.KeepAlive(got)
}
