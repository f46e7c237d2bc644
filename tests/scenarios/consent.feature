@F2
Feature: Consent
  A supplier says on which ground personal data may be processed, before anything is recorded about it.

  Background:
    Given a consortium with its founding policy

  Scenario: Personal data without a lawful basis is refused
    When the hospital registers personal data without a lawful basis
    Then it is refused as "invalid-field"
    And the refusal names the field "/basis"

  Scenario: A run over data that rests on consent names a selection from the map in force when it started
    Given the hospital selected what a patient permitted for research
    When the lab records a run over the selection for research
    Then upstream of the run are the selection and the version

  Scenario: A run whose purpose the consent does not permit is refused
    Given the hospital selected what a patient permitted for research
    When the lab records a run over the selection for care
    Then it is refused as "purpose-differs"

  Scenario: A run over data that rests on consent without a selection is refused
    Given the hospital selected what a patient permitted for research
    When the lab records a run over the whole version for research
    Then it is refused as "selection-missing"

  Scenario: A run over a selection from an older map than was in force is refused
    Given the hospital selected what a patient permitted for research
    When the patient withdraws
    And the lab records a run over the selection for research
    Then it is refused as "selection-outdated"

  Scenario: Of a withdrawal and a run at once exactly one order holds
    Given the hospital selected what a patient permitted for research
    When the patient withdraws while the lab records runs over the selection
    Then every run that stands was ordered before the withdrawal
