//go:build tools

// Package actionlint names the command that tests run, so that go.mod can pin its version.
package actionlint

import (
	_ "github.com/rhysd/actionlint/cmd/actionlint"
)
