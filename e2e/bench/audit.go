package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strings"
	"time"
)

// auditEvent is what the API server's audit log says of a write that it has answered.
type auditEvent struct {
	RequestURI     string `json:"requestURI"`
	User           struct{ Username string }
	ObjectRef      struct{ Resource, APIGroup string }
	ResponseStatus struct{ Code int }
	StageTimestamp time.Time
}

// auditEnd is where the audit log ends now.
func (t *target) auditEnd() (int64, error) {
	info, err := os.Stat(t.AuditLog)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// written is when the first and the last object of an application were written.
type written struct {
	first, last time.Time
	count       int
}

// writesSince reads what a user has written, from a place in the audit log on: applications' objects, that is, and neither
// Syncs nor releases nor events.
func (t *target) writesSince(place int64, user string) (written, error) {
	file, err := os.Open(t.AuditLog)
	if err != nil {
		return written{}, err
	}
	defer file.Close()
	if _, err := file.Seek(place, io.SeekStart); err != nil {
		return written{}, err
	}
	var w written
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return w, nil // a line that is half written is of a request that is younger than the step
		}
		if err != nil {
			return written{}, err
		}
		var e auditEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return written{}, err
		}
		bookkeeping := e.ObjectRef.APIGroup == "belay.dev" || e.ObjectRef.Resource == "secrets" || e.ObjectRef.Resource == "events"
		if !strings.HasSuffix(e.User.Username, ":"+user) || bookkeeping || strings.Contains(e.RequestURI, "dryRun=All") || e.ResponseStatus.Code/100 != 2 {
			continue
		}
		if w.count == 0 {
			w.first = e.StageTimestamp
		}
		w.last = e.StageTimestamp
		w.count++
	}
}
