@F7
Feature: Finding what was recorded
  Anyone who holds a file, a name or a word finds what any organisation recorded about it, at its own gateway,
  and can ask the ledger itself.

  Background:
    Given a consortium with its founding policy

  Scenario: Every organisation finds a model by its words, its digest and its stage
    Given the lab trained a model on the hospital's data
    And the lab submitted the model
    Then every organisation finds the model by its name, its digest and the stage "submitted"
    And every organisation reads the same model from its gateway and from the ledger
    And what nobody recorded is not found on the ledger either
