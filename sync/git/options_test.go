package git_test

import (
	"strings"
	"testing"

	"github.com/belay-gitops/belay/sync/git"
)

func TestOpenRefusesAURLWithoutShowingItsSecrets(t *testing.T) {
	for _, url := range []string{
		"https://ana:hunter2@host/repo",
		"https://hunter2@host/repo",
		"https://ana:hunter2%zz@host/repo",
		"https://host/repo?token=hunter2",
		"https://host/repo#hunter2",
		"ssh://ana:hunter2@host/repo",
		"ana:hunter2@host:repo",
		"https://ana:hunter2\n@host/repo",
	} {
		_, err := git.Open(git.Options{URL: url})
		e := wantReason(t, err, git.InvalidURL)
		if strings.Contains(e.Error(), "hunter2") {
			t.Errorf("%q: the error shows the secret: %v", url, e)
		}
	}
}

func TestOpenAllowsOnlyHTTPSUnlessToldOtherwise(t *testing.T) {
	for _, test := range []struct {
		url       string
		allowHTTP bool
		ok        bool
	}{
		{"https://host/repo", false, true},
		{"http://host/repo", false, false},
		{"http://host/repo", true, true},
		{"file:///srv/repo", false, false},
		{"file:///srv/repo", true, true},
		{"file://host/repo", true, false},
		{"ssh://host/repo", true, false},
		{"ftp://host/repo", true, false},
		{"git@host:repo", true, false},
		{"https:///repo", true, false},
		{"/srv/repo", true, false},
		{"", true, false},
	} {
		_, err := git.Open(git.Options{URL: test.url, AllowHTTP: test.allowHTTP})
		if test.ok && err != nil {
			t.Errorf("Open(%q): %v", test.url, err)
		}
		if !test.ok {
			wantReason(t, err, git.InvalidURL)
		}
	}
}

func TestOpenRefusesWhatIsNoRef(t *testing.T) {
	for _, ref := range []git.Ref{
		{Branch: "main", Tag: "v1"},
		{Commit: "9f2c1e7"},
		{Commit: strings.Repeat("g", 40)},
		{Branch: "ma in"},
		{Branch: "main\n0000"},
		{Branch: "../main"},
		{Tag: "v1^{}"},
		{Tag: "-x"},
	} {
		_, err := git.Open(git.Options{URL: "https://host/repo", Ref: ref})
		wantReason(t, err, git.InvalidRef)
	}
}

func TestOpenFindsTheNewlineAtASecretsEnd(t *testing.T) {
	for _, auth := range []git.Auth{
		{Username: "ana", Password: "hunter2\n"},
		{BearerToken: "hunter2\n"},
		{Username: "ana:x", Password: "hunter2"},
		{Username: "ana", BearerToken: "hunter2"},
	} {
		_, err := git.Open(git.Options{URL: "https://host/repo", Auth: auth})
		if e := wantReason(t, err, git.InvalidAuth); strings.Contains(e.Error(), "hunter2") {
			t.Errorf("the error shows the secret: %v", e)
		}
	}
}
